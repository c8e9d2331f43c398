//! What this process holds of the system, as the system counts it.

use std::fs;

use anyhow::Context as _;

#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Resident memory, in MiB, now and at most since [`reset_peak`].
    pub memory: u64,
    pub peak: u64,
    pub descriptors: usize,
    pub threads: usize,
}

pub fn held() -> anyhow::Result<Held> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number =
            line.and_then(|line| line.split_whitespace().next()).context("no such line")?;
        Ok::<_, anyhow::Error>(number.parse::<u64>()?)
    };
    Ok(Held {
        memory: field("VmRSS:")? / 1024,
        peak: field("VmHWM:")? / 1024,
        descriptors: fs::read_dir("/proc/self/fd")?.count(),
        threads: usize::try_from(field("Threads:")?)?,
    })
}

/// Begins the count of the peak anew.
pub fn reset_peak() {
    // Where it is not allowed, peaks are those of the whole life.
    let _ = fs::write("/proc/self/clear_refs", "5");
}
