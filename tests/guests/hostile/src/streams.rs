//! Attacks by streams, pollables and clocks.

use wasip2::cli;
use wasip2::clocks::monotonic_clock::{subscribe_duration, subscribe_instant};
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::StreamError;

use crate::Told;
use crate::files::open;
use crate::names::root;

pub fn write_nothing(times: u32) -> Told {
    let out = cli::stdout::get_stdout();
    let file = open(&root(), "nothing", OpenFlags::CREATE, DescriptorFlags::WRITE)
        .map_err(|error| error.to_string())?;
    let stream = file.write_via_stream(0).map_err(|error| error.to_string())?;
    for number in 0..times {
        for to in [&out, &stream] {
            let wrote = to.write(b"").and_then(|()| to.flush());
            wrote.map_err(|error| format!("after {number}: {error}"))?;
        }
    }
    Ok(format!("nothing was written {times} times, which costs nothing"))
}

pub fn write_zeroes(bytes: u64) -> Told {
    let wrote = cli::stdout::get_stdout().write_zeroes(bytes);
    Err(format!("{bytes} zeroes: {wrote:?}"))
}

pub fn stdin() -> Told {
    let input = cli::stdin::get_stdin();
    input.subscribe().block();
    for _ in 0..3 {
        match input.blocking_read(1 << 40) {
            Err(StreamError::Closed) => {}
            other => return Err(format!("{other:?}")),
        }
    }
    Ok("it is closed".into())
}

pub fn poll_same(times: u32) -> Told {
    let ready = subscribe_duration(0);
    let list: Vec<&Pollable> = std::iter::repeat_n(&ready, times as usize).collect();
    let found = poll(&list).len();
    Err(format!("{found} of {times} are ready"))
}

pub fn far_clocks(count: u32, rounds: u32) -> Told {
    let mut clocks = vec![subscribe_duration(0)];
    for number in 1..u64::from(count) {
        clocks.push(match number % 3 {
            0 => subscribe_duration(u64::MAX - number),
            1 => subscribe_instant(u64::MAX / 2 + number),
            // Near enough for the host to keep an alarm each time it is asked for.
            _ => subscribe_duration(2_000_000),
        });
    }
    let list: Vec<&Pollable> = clocks.iter().collect();
    for _ in 0..rounds {
        if poll(&list).is_empty() {
            return Err("a poll ended with nothing ready".into());
        }
    }
    Ok(format!("{count} clocks, asked {rounds} times"))
}
