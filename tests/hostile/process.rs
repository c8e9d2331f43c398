//! What this process holds of the system, as the system counts it.

use std::fs;

#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Resident memory, in MiB.
    pub memory: u64,
    pub descriptors: usize,
    pub threads: usize,
}

pub fn held() -> Held {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    Held {
        memory: field("VmRSS:") / 1024,
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        threads: field("Threads:") as usize,
    }
}

/// The most memory that it has had resident, in MiB.
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// Begins the count of [`peak`] anew.
pub fn reset_peak() {
    // Where it is not allowed, peaks are those of the whole life.
    let _ = fs::write("/proc/self/clear_refs", "5");
}
