#![no_main]

// Parts of the program, which is no library.
#[path = "../../host/bin/serve/lines_fuzz.rs"]
mod lines_fuzz;
#[path = "../../host/bin/serve/message.rs"]
#[allow(dead_code)]
mod message;
#[path = "../../host/bin/serve/scan.rs"]
mod scan;
#[path = "../../host/bin/serve/split.rs"]
mod split;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lines_fuzz::mcp_lines(bytes));
