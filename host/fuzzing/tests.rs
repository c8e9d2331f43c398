//! Replays the corpora of `fuzz/`: each seed, and each input that once found something.

use std::path::Path;

use proptest::prelude::*;

type Target = (&'static str, fn(&[u8]));

#[test]
fn every_seed_of_the_fuzzers_is_still_taken() {
    let targets: [Target; 9] = [
        ("batch_json", super::batch_json),
        ("component", super::component),
        ("config", super::config),
        ("graphql", super::graphql),
        ("hosts", super::hosts),
        ("journal", super::journal),
        ("json_values", super::json_values),
        ("lifted", super::lifted),
        ("pattern", super::pattern),
    ];
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let folders = std::fs::read_dir(&corpora).unwrap().count();
    // `mcp_lines` is of the program: its tests replay that.
    assert_eq!(folders, targets.len() + 1, "a corpus without a target");
    for (name, target) in targets {
        let mut fed = 0;
        for seed in std::fs::read_dir(corpora.join(name)).unwrap() {
            let path = seed.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                panic!("{} breaks a promise", path.display());
            }
            fed += 1;
        }
        assert!(fed > 0, "{name} has no seeds");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn values_of_any_type_are_the_same_from_text_and_from_a_map(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        super::json_values(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn results_are_read_as_wasmtime_reads_them(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        super::lifted(&bytes);
    }
}
