//! The journal is cut off at every byte of its last line, which is what a kill inside of a write may leave.

use std::path::PathBuf;

use inorder::{Host, PluginSpec};
use serde_json::json;

use super::{Place, SEED, number, random, tell};
use crate::serial::generate::Batch;
use crate::serial::tree::Tree;
use crate::support::{block_on, grants, guest, repository};

/// `INORDER_CUTS` (40), of a few batches each.
#[test]
fn a_journal_cut_at_any_byte_leaves_the_files_as_some_first_calls_would() {
    let Some(guest) = guest("fileops") else { return };
    let cuts = number("INORDER_CUTS", 40);
    let (mut done, mut begun, mut seed) = (0, 0, SEED);
    while done + begun < cuts {
        seed += 1;
        let mut cutting = Cutting::new(&guest, seed);
        let Some((journal, text)) = cutting.run() else { continue };
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let [.., begin, end] = lines[..] else { continue };
        // A stride, so that a few cuts are not all of one batch.
        let mut length = text.len() as u64;
        for cut in (0..end.len() as u64).step_by(1 + end.len() * 8 / cuts as usize) {
            // Everything of the last commit was done, and the line that says so was not written to its end.
            let file = std::fs::File::options().write(true).open(&journal).unwrap();
            file.set_len(length - end.len() as u64 + cut.min(end.len() as u64 - 1)).unwrap();
            cutting.check(&cutting.before_last, "done", cut);
            done += 1;
            // Numbers in it may be longer the next time.
            length = cutting.run().unwrap().1.len() as u64;
        }
        let begin = begin.to_vec();
        for cut in (0..begin.len()).step_by(1 + begin.len() * 8 / cuts as usize) {
            // Nothing of another commit was done, and the line that announces it was not written to its end.
            let mut text = std::fs::read(&journal).unwrap();
            text.extend(&begin[..cut]);
            std::fs::write(&journal, text).unwrap();
            cutting.check(&cutting.after, "begin", cut as u64);
            begun += 1;
            cutting.run();
        }
    }
    tell(&format!("{done} cuts of a line that ends a commit, {begun} of one that begins one"));
}

/// One that is open all the while, and has committed here before: it has to see that somebody else has been at work.
#[test]
fn a_host_that_lives_on_takes_back_what_a_killed_one_has_left_half_done() {
    let place = Place::new();
    let host = || {
        let spec = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
        let cache = repository().join("target/test-cache/many");
        Host::builder().root(place.root()).plugin(spec).cache(cache).build().unwrap()
    };
    let write = |host: &Host, path: &str, content: &str| {
        let call = json!({"tool": "write_file", "args": {"path": path, "content": content}});
        let batch = json!({ "calls": [call] }).to_string();
        let batch = inorder::Batch::from_json(batch.as_bytes()).unwrap();
        let report = block_on(host.run(batch)).unwrap();
        assert!(report.results[0].result.is_ok(), "{report:?}");
    };
    let read = |path: &str| std::fs::read_to_string(place.root().join(path)).unwrap();
    let survivor = host();
    for round in 1..=3 {
        write(&survivor, "a", &format!("before {round}"));
        write(&survivor, "b", "survivor's");
        let before = place.journals();
        let killed = host();
        write(&killed, "a", "half done");
        let mut journals = place.journals();
        journals.retain(|it| !before.contains(it));
        let journal = journals.pop().unwrap();
        // As if it had been killed before the last line.
        let text = std::fs::read(&journal).unwrap();
        let last = text.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
        let file = std::fs::File::options().write(true).open(&journal).unwrap();
        file.set_len((text.len() - last.len()) as u64).unwrap();
        write(&survivor, "b", "survivor's again");
        assert_eq!(read("a"), format!("before {round}"));
        assert_eq!(read("b"), "survivor's again");
        drop(killed);
    }
}

struct Cutting {
    place: Place,
    host: Host,
    batch: Batch,
    /// Without the last call that changes something, and with it.
    before_last: Tree,
    after: Tree,
}

impl Cutting {
    /// A batch cut off after some call that changes something.
    fn new(guest: &PluginSpec, seed: u64) -> Cutting {
        let (place, mut batch) = (Place::new(), random(seed));
        let states = place.states(&batch);
        let last = (1..states.len()).rev().find(|at| states[at - 1] != states[*at]).unwrap_or(0);
        batch.calls.truncate(last);
        let (before_last, after) = (states[last.saturating_sub(1)].clone(), states[last].clone());
        let host = place.host(guest, batch.jobs);
        Cutting { place, host, batch, before_last, after }
    }

    /// Runs the batch anew; gives the journal, unless the last call left nothing behind.
    fn run(&mut self) -> Option<(PathBuf, Vec<u8>)> {
        let _ = std::fs::remove_dir_all(self.place.root().join(".inorder"));
        self.batch.before.lay_out(&self.place.root()).unwrap();
        let request = inorder::Batch::from_json(self.batch.to_json().to_string().as_bytes());
        block_on(self.host.run(request.unwrap())).unwrap();
        assert!(self.place.tree() == self.after, "seed {}", self.batch.seed);
        let journal = self.place.journals().pop()?;
        let text = std::fs::read(&journal).unwrap();
        Some((journal, text))
    }

    /// Opens the root twice, with an edit in between that must outlive the second time.
    fn check(&self, expected: &Tree, line: &str, cut: u64) {
        let said = format!("seed {}, cut at {cut} of {line:?}", self.batch.seed);
        self.place.reopen().unwrap_or_else(|error| panic!("{said}: {error}"));
        let found = self.place.tree();
        assert!(*expected == found, "{said}: {:#?}", expected.differences(&found));
        let files: Vec<PathBuf> = found.0.keys().map(|path| self.place.root().join(path)).collect();
        for file in files.iter().filter(|it| it.symlink_metadata().unwrap().is_file()) {
            let mut file = std::fs::File::options().append(true).open(file).unwrap();
            std::io::Write::write_all(&mut file, b"edited").unwrap();
        }
        let edited = self.place.tree();
        self.place.reopen().unwrap_or_else(|error| panic!("{said}, opened again: {error}"));
        let found = self.place.tree();
        assert!(edited == found, "{said}, opened again: {:#?}", edited.differences(&found));
    }
}
