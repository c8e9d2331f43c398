//! Operations, and random ones: few names, so that they meet.

use super::super::open::How;

/// What one operation does. Handles are slots; slot 0 is the root.
#[derive(Clone, Debug)]
pub enum Step {
    Open {
        slot: usize,
        dir: usize,
        path: String,
        follow: bool,
        how: How,
    },
    Read {
        slot: usize,
        at: u64,
        length: usize,
    },
    Write {
        slot: usize,
        at: u64,
        length: usize,
        byte: u8,
    },
    Append {
        slot: usize,
        length: usize,
        byte: u8,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    Stat {
        slot: usize,
    },
    StatAt {
        dir: usize,
        path: String,
        follow: bool,
    },
    SetTimes {
        slot: usize,
        time: i64,
    },
    SetTimesAt {
        dir: usize,
        path: String,
        follow: bool,
        time: i64,
    },
    List {
        slot: usize,
    },
    Mkdir {
        dir: usize,
        path: String,
    },
    Rmdir {
        dir: usize,
        path: String,
    },
    Unlink {
        dir: usize,
        path: String,
    },
    Rename {
        dir: usize,
        path: String,
        to: usize,
        to_path: String,
    },
    Link {
        dir: usize,
        path: String,
        to: usize,
        to_path: String,
    },
    Symlink {
        target: String,
        dir: usize,
        path: String,
    },
    Readlink {
        dir: usize,
        path: String,
    },
    /// What was staged is committed, and another view goes on.
    Commit,
}

/// What an operation gives, in a form that both sides can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Bytes(Vec<u8>),
    Text(String),
    Names(Vec<(String, char)>),
    /// Kind; size of what is no directory; time of change if it was set to a time long ago; names of what is no directory.
    Stat(char, u64, i64, u64),
}

pub const SLOTS: usize = 6;

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn path(&mut self) -> String {
        const NAMES: [&str; 9] = ["a", "b", "d", "e", "l", "abs", "out", "big", "both"];
        const ODD: [&str; 4] = ["..", ".", "", "fifo"];
        let mut path = String::new();
        for part in 0..=self.pick(&[0, 0, 0, 1, 1, 2]) {
            if part > 0 {
                path.push('/');
            }
            path.push_str(if self.chance(12) { self.pick(&ODD) } else { self.pick(&NAMES) });
        }
        if self.chance(15) {
            path.push('/');
        }
        path.trim_start_matches('/').to_owned()
    }

    fn size(&mut self, large: bool) -> u64 {
        let near = self.below(5);
        match self.below(if large { 10 } else { 6 }) {
            0..4 => self.below(60),
            4 => 4090 + near,
            5 => (64 << 10) - 2 + near,
            6 => (1 << 20) - 2 + near,
            7 => (1 << 20) + 70_000,
            8 => 1_500_000 - near,
            _ => 2_500_000,
        }
    }

    pub fn step(&mut self, large: bool) -> Step {
        let slot = 1 + self.below(SLOTS as u64 - 1) as usize;
        let dir = if self.chance(3) { slot } else { 0 };
        let path = self.path();
        let follow = !self.chance(3);
        match self.below(36) {
            0..8 => {
                let how = How {
                    create: self.chance(2),
                    exclusive: self.chance(5),
                    truncate: self.chance(6),
                    directory: self.chance(6),
                    read: !self.chance(4),
                    write: !self.chance(3),
                };
                Step::Open { slot, dir, path, follow, how }
            }
            8..10 => Step::Read { slot, at: self.size(large), length: self.size(large) as usize },
            10..14 => {
                let length = self.size(large) as usize;
                Step::Write { slot, at: self.size(large), length, byte: self.next() as u8 }
            }
            14..16 => {
                let length = self.size(large) as usize;
                Step::Append { slot, length, byte: self.next() as u8 }
            }
            16 => Step::SetSize { slot, size: self.size(large) },
            17 => Step::Stat { slot },
            18..20 => Step::StatAt { dir, path, follow },
            20 => Step::SetTimes { slot, time: 1_000_000 + self.below(1000) as i64 },
            21 => Step::SetTimesAt { dir, path, follow, time: 1_000_000 + self.below(1000) as i64 },
            22 => Step::List { slot: dir },
            23..25 => Step::Mkdir { dir, path },
            25 => Step::Rmdir { dir, path },
            26..28 => Step::Unlink { dir, path },
            28..31 => {
                let to = if self.chance(3) { slot } else { 0 };
                Step::Rename { dir, path, to, to_path: self.path() }
            }
            31..33 => Step::Link { dir, path, to: 0, to_path: self.path() },
            33 => {
                let target = if self.chance(20) { "/etc".to_owned() } else { self.path() };
                Step::Symlink { target, dir, path }
            }
            34 => Step::Readlink { dir, path },
            _ => Step::Commit,
        }
    }
}
