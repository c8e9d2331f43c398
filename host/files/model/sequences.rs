//! Sequences of operations, run on both sides and compared; what fails is made shorter before it is shown.
//!
//! `INORDER_MODEL` is how many sequences are run; `INORDER_MODEL_SEED` where they begin.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use super::super::bounds::Bounds;
use super::super::roots::Roots;
use super::super::scope::Scope;
use super::super::stage::Durability;
use super::super::work::{Effect, Files, Work};
use super::native::Native;
use super::staged::Viewed;
use super::step::{Answer, Rng, Step};

const STEPS: u64 = 30;
const MOST_STAGED: u64 = 256 << 20;

/// One sequence: where it starts from, and what it does.
struct Case {
    effect: Effect,
    /// With files above the thresholds.
    large: bool,
    steps: Vec<Step>,
}

fn case(seed: u64) -> Case {
    let mut rng = Rng(seed);
    let effect =
        [Effect::Commit, Effect::Commit, Effect::Atomic, Effect::DryRun][rng.below(4) as usize];
    let large = rng.below(5) == 0;
    let mut steps: Vec<Step> = (0..STEPS).map(|_| rng.step(large)).collect();
    steps.push(Step::Commit);
    Case { effect, large, steps }
}

/// What both sides begin with.
fn plant(root: &Path, large: bool) {
    std::fs::create_dir_all(root.join("d/e")).unwrap();
    std::fs::write(root.join("a"), "first").unwrap();
    std::fs::write(root.join("d/a"), "second").unwrap();
    std::fs::set_permissions(root.join("d/a"), PermissionsExt::from_mode(0o640)).unwrap();
    let big: Vec<u8> =
        (0..if large { 1_500_000 } else { 70_000u32 }).map(|it| (it % 251) as u8).collect();
    std::fs::write(root.join("big"), &big).unwrap();
    std::fs::write(root.join("both"), &big[..if large { 1_200_000 } else { 50 }]).unwrap();
    std::fs::hard_link(root.join("both"), root.join("d/both")).unwrap();
    symlink("d", root.join("l")).unwrap();
    symlink("../a", root.join("d/l")).unwrap();
    symlink(root.join("d"), root.join("abs")).unwrap();
    symlink("/etc", root.join("out")).unwrap();
    let fifo = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, fifo, 0)
        .unwrap();
}

/// What is at a path: kind, mode, what is in it; and the first name of the same file.
type Snapshot = BTreeMap<String, (char, u32, Vec<u8>, String, i64)>;

fn snapshot(root: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut firsts: BTreeMap<u64, String> = BTreeMap::new();
    let mut left = vec![String::new()];
    let mut files = Vec::new();
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).unwrap() {
            let path = format!("{dir}/{}", entry.unwrap().file_name().to_str().unwrap());
            let path = path.trim_start_matches('/').to_owned();
            if path == ".inorder" {
                continue;
            }
            if root.join(&path).symlink_metadata().unwrap().is_dir() {
                left.push(path.clone());
            }
            files.push(path);
        }
    }
    files.sort();
    for path in files {
        let at = root.join(&path);
        let metadata = at.symlink_metadata().unwrap();
        let (kind, content) = if metadata.is_file() {
            ('f', std::fs::read(&at).unwrap())
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&at).unwrap();
            ('l', target.to_str().unwrap().replace(root.to_str().unwrap(), "ROOT").into_bytes())
        } else {
            (if metadata.is_dir() { 'd' } else { 'o' }, vec![])
        };
        let first = firsts.entry(metadata.ino()).or_insert_with(|| path.clone()).clone();
        let old =
            if kind == 'f' && metadata.mtime() < 1_500_000_000 { metadata.mtime() } else { 0 };
        found.insert(path, (kind, metadata.permissions().mode(), content, first, old));
    }
    found
}

fn differ(what: &str, ours: &Snapshot, plain: &Snapshot) -> Result<(), String> {
    let show = |it: Option<&(char, u32, Vec<u8>, String, i64)>| match it {
        Some((kind, mode, content, first, time)) => {
            let start = String::from_utf8_lossy(&content[..content.len().min(40)]).into_owned();
            format!("{kind} {mode:o} {} bytes {start:?}, as {first}, at {time}", content.len())
        }
        None => "nothing".to_owned(),
    };
    for path in ours.keys().chain(plain.keys()) {
        if ours.get(path) != plain.get(path) {
            let (ours, plain) = (show(ours.get(path)), show(plain.get(path)));
            return Err(format!("{what}: at {path}: {ours}, but natively {plain}"));
        }
    }
    Ok(())
}

/// Everything that a view shows, against the plain directory: sizes and contents through reading.
fn seen(ours: &mut Viewed, native: &mut Native) -> Result<(), String> {
    let mut left = vec![".".to_owned()];
    let how = |directory| super::super::open::How { directory, read: true, ..Default::default() };
    while let Some(dir) = left.pop() {
        let open = Step::Open { slot: 1, dir: 0, path: dir.clone(), follow: false, how: how(true) };
        compare(&open, ours, native)?;
        let Some(Ok(Answer::Names(names))) = compare(&Step::List { slot: 1 }, ours, native)? else {
            continue;
        };
        for (name, kind) in names {
            let path = format!("{dir}/{name}");
            match kind {
                'd' => left.push(path),
                'f' => {
                    let open = Step::Open { slot: 2, dir: 0, path, follow: false, how: how(false) };
                    compare(&open, ours, native)?;
                    compare(&Step::Stat { slot: 2 }, ours, native)?;
                    compare(&Step::Read { slot: 2, at: 0, length: 16 << 20 }, ours, native)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

type Answered = Option<Result<Answer, rustix::io::Errno>>;

fn compare(step: &Step, ours: &mut Viewed, native: &mut Native) -> Result<Answered, String> {
    let (ours, plain) = (ours.run(step), native.run(step));
    if ours == plain {
        return Ok(ours);
    }
    let short = |it: &Answered| match it {
        Some(Ok(Answer::Bytes(bytes))) => {
            let hash =
                bytes.iter().fold(7u64, |hash, byte| hash.wrapping_mul(31) + u64::from(*byte));
            format!("{} bytes of {hash:x}", bytes.len())
        }
        other => format!("{other:?}"),
    };
    Err(format!("{step:?} gives {}, but natively {}", short(&ours), short(&plain)))
}

fn run(case: &Case) -> Result<(), String> {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = |dir: &tempfile::TempDir| dir.path().canonicalize().unwrap();
    let (ours, plain) = (root(&one), root(&two));
    plant(&ours, case.large);
    plant(&plain, case.large);
    let files = Files::open(std::slice::from_ref(&ours), Durability::Kill).unwrap();
    let before = snapshot(&ours);
    let work = files.work(case.effect);
    let view = |work: &Work, roots: &Roots| {
        Viewed::new(work.view(
            Arc::new(Scope::everything(roots)),
            Bounds { staged: MOST_STAGED, ..Bounds::NONE },
        ))
    };
    let mut native = Native::new(plain.to_str().unwrap());
    let mut viewed = view(&work, files.roots());
    for step in &case.steps {
        if !matches!(step, Step::Commit) {
            compare(step, &mut viewed, &mut native)?;
            continue;
        }
        let staged = viewed.view.stage().map_err(|error| format!("stage: {error:?}"))?;
        let committed = work.commit(&viewed.view, staged);
        committed.map_err(|error| format!("commit: {error:?}"))?;
        native.forget();
        viewed = view(&work, files.roots());
        seen(&mut viewed, &mut native)?;
        // The next one starts with nothing loaded.
        native.forget();
        viewed = view(&work, files.roots());
        if case.effect == Effect::Commit {
            differ("the disk", &snapshot(&ours), &snapshot(&plain))?;
        }
    }
    match case.effect {
        Effect::Atomic => {
            differ("before the flush", &snapshot(&ours), &before)?;
            work.flush().map_err(|error| format!("flush: {error:?}"))?;
            differ("after the flush", &snapshot(&ours), &snapshot(&plain))
        }
        Effect::DryRun => differ("after a dry run", &snapshot(&ours), &before),
        Effect::Commit => Ok(()),
    }
}

/// The same failure, or another one, with fewer steps.
fn shorter(mut case: Case, mut error: String) -> (Case, String) {
    let mut at = 0;
    // Without the commit at the end there is nothing to compare.
    while at + 1 < case.steps.len() {
        let removed = case.steps.remove(at);
        match run(&case) {
            Err(other) => error = other,
            Ok(()) => {
                case.steps.insert(at, removed);
                at += 1;
            }
        }
    }
    (case, error)
}

#[test]
fn a_view_is_like_a_plain_directory() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |it| it.parse().unwrap());
    let (first, count) = (number("INORDER_MODEL_SEED", 1), number("INORDER_MODEL", 200));
    let most = number("INORDER_MODEL_SHOW", 1);
    let mut failures = 0;
    for seed in first..first + count {
        let failed = case(seed);
        if let Err(error) = run(&failed) {
            let (case, error) = shorter(failed, error);
            let steps: Vec<String> = case.steps.iter().map(|it| format!("  {it:?}")).collect();
            eprintln!(
                "seed {seed}, {:?}, large {}: {error}\n{}",
                case.effect,
                case.large,
                steps.join("\n")
            );
            failures += 1;
            assert!(failures < most, "{failures} sequences differ");
        }
    }
    assert_eq!(failures, 0);
}
