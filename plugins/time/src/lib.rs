//! The standard time tools, as a component. This file maps the exports of `wit/time.wit` to `convert`, and
//! reads the clock, which nothing else does.

mod convert;

use bindings::exports::inorder::time::clock;
use clock::{TimeConversionResult, TimeResult};
use jiff::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

#[expect(unsafe_code, reason = "generated: the canonical ABI passes raw memory")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/time.wit", world: "time" });
    use super::Clock;
    export!(Clock);
}

struct Clock;

impl clock::Guest for Clock {
    fn get_current_time(timezone: String) -> Result<TimeResult, String> {
        convert::at(now(), &timezone)
    }

    fn convert_time(
        source_timezone: String,
        time: String,
        target_timezone: String,
    ) -> Result<TimeConversionResult, String> {
        convert::between(now(), &source_timezone, &time, &target_timezone)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_second(since.as_secs() as i64).unwrap_or_default()
}
