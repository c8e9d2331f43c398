//! The tools that the protocol's conformance suite calls. What each does is in `conformance.wit`; what should come of it
//! only the suite knows.

use std::time::Duration;

wit_bindgen::generate!({
    path: ["../../../wit/tool.wit", "conformance.wit"],
    world: "test:conformance/conformance-guest",
    generate_all,
});

use exports::test::conformance::tools::{Guest, Media};
use inorder::tool::log::{Level, log};
use inorder::tool::progress::report;

struct Tools;
export!(Tools);

/// More than the host passes over between two reports.
const STEP: Duration = Duration::from_millis(60);

impl Guest for Tools {
    fn test_simple_text() -> String {
        "This is a simple text response for testing.".to_owned()
    }

    fn test_image_content() -> Media {
        Media { data: PIXEL.to_vec(), mime_type: "image/png".to_owned() }
    }

    fn test_audio_content() -> Media {
        Media { data: SAMPLE.to_vec(), mime_type: "audio/wav".to_owned() }
    }

    fn test_error_handling() -> Result<String, String> {
        Err("This tool intentionally returns an error for testing".to_owned())
    }

    fn test_tool_with_progress() -> String {
        for done in [0.0, 50.0, 100.0] {
            report(done, Some(100.0), None);
            std::thread::sleep(STEP);
        }
        "Told how far it was.".to_owned()
    }

    fn test_tool_with_logging() -> String {
        for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
            log(Level::Info, line);
            std::thread::sleep(STEP);
        }
        "Wrote a log.".to_owned()
    }

    fn test_logging_tool() -> String {
        Self::test_tool_with_logging()
    }

    fn test_reconnection() -> String {
        std::thread::sleep(STEP);
        "Took its time.".to_owned()
    }
}

/// A PNG of 1 x 1, 8 bits of red, green and blue.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53,
    0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0x00,
    0x00, 0x03, 0x01, 0x01, 0x00, 0xc9, 0xfe, 0x92, 0xef, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e,
    0x44, 0xae, 0x42, 0x60, 0x82,
];

/// A WAV of one sample of 8 bits, mono, 8 kHz.
const SAMPLE: &[u8] = &[
    0x52, 0x49, 0x46, 0x46, 0x26, 0x00, 0x00, 0x00, 0x57, 0x41, 0x56, 0x45, 0x66, 0x6d, 0x74, 0x20,
    0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x40, 0x1f, 0x00, 0x00, 0x40, 0x1f, 0x00, 0x00,
    0x01, 0x00, 0x08, 0x00, 0x64, 0x61, 0x74, 0x61, 0x01, 0x00, 0x00, 0x00, 0x80, 0x00,
];
