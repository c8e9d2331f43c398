#![no_main]

libfuzzer_sys::fuzz_target!(
    // A panic that is caught is none: the parser of WIT has some.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| inorder::fuzzing::component(bytes)
);
