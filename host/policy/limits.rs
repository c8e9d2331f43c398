//! Limits of one call: what they are by default, and who may change them which way.

use std::time::Duration;

use crate::batch::LimitsConfig;

/// Bounds of one call. All are on by default; no value means "unlimited".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock from making the sandbox until its result is read. Default 30 s.
    pub timeout: Duration,
    /// Linear memories and tables of the sandbox together, in bytes. Default 256 MiB.
    pub memory: u64,
    /// Arguments as JSON text, in bytes. Default 4 MiB.
    pub args: u64,
    /// The result as JSON text, in bytes. Default 4 MiB.
    pub result: u64,
    /// Captured standard output and, counted by itself, standard error, in bytes. Default 1 MiB.
    pub output: u64,
    /// Resources (handles, streams, pollables) held at once. Default 1,000.
    pub handles: u32,
    /// Bytes of files that are staged at once, in memory or on disk. Default 64 MiB.
    pub staged: u64,
    /// Bodies of HTTP requests and of their answers, all of one run together, in bytes. Default 64 MiB.
    pub net: u64,
    /// One request for random numbers, in bytes. Default 64 KiB.
    pub random: u64,
    /// What a guest hands over as arguments of one host call, in bytes of host memory: 24 for each text or list in a list, and
    /// what it holds. wasmtime copies it in one go, in which a guest cannot be stopped. Default 4 MiB.
    pub copies: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: Duration::from_secs(30),
            memory: 256 << 20,
            args: 4 << 20,
            result: 4 << 20,
            output: 1 << 20,
            handles: 1000,
            staged: 64 << 20,
            net: 64 << 20,
            random: 64 << 10,
            copies: 4 << 20,
        }
    }
}

impl Limits {
    /// These, with what is set in `some` in their place.
    #[must_use]
    pub fn with(&self, some: &LimitsConfig) -> Limits {
        Limits {
            timeout: some.timeout.unwrap_or(self.timeout),
            memory: some.memory.unwrap_or(self.memory),
            args: some.args.unwrap_or(self.args),
            result: some.result.unwrap_or(self.result),
            output: some.output.unwrap_or(self.output),
            handles: some.handles.unwrap_or(self.handles),
            staged: some.staged.unwrap_or(self.staged),
            net: some.net.unwrap_or(self.net),
            random: some.random.unwrap_or(self.random),
            copies: some.copies.unwrap_or(self.copies),
        }
    }

    /// [`Limits::with`], if it raises none: a call may ask for less than policy gives, and never for more.
    ///
    /// # Errors
    /// The first one that would be raised.
    pub fn lowered(&self, by: &LimitsConfig) -> Result<Limits, Raised> {
        let size = |name, asked: Option<u64>, given: u64| match asked {
            Some(asked) if asked > given => {
                let (asked, given) = (bytesize::ByteSize(asked), bytesize::ByteSize(given));
                Err(Raised { name, asked: asked.to_string(), given: given.to_string() })
            }
            _ => Ok(()),
        };
        if let Some(asked) = by.timeout.filter(|asked| *asked > self.timeout) {
            let time = |time| humantime::format_duration(time).to_string();
            return Err(Raised { name: "timeout", asked: time(asked), given: time(self.timeout) });
        }
        if let Some(asked) = by.handles.filter(|asked| *asked > self.handles) {
            let (asked, given) = (asked.to_string(), self.handles.to_string());
            return Err(Raised { name: "handles", asked, given });
        }
        size("memory", by.memory, self.memory)?;
        size("args", by.args, self.args)?;
        size("result", by.result, self.result)?;
        size("output", by.output, self.output)?;
        size("staged", by.staged, self.staged)?;
        size("net", by.net, self.net)?;
        size("random", by.random, self.random)?;
        size("copies", by.copies, self.copies)?;
        Ok(self.with(by))
    }
}

/// A call asked for more than policy gives.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the call asks for `limits.{name}` of {asked}, and policy gives it {given}: a call can only lower its limits"
)]
pub struct Raised {
    name: &'static str,
    asked: String,
    given: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(json: &str) -> LimitsConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_call_lowers_every_limit_and_raises_none() {
        let given = Limits::default();
        let lower = some(
            r#"{"timeout": "1s", "memory": 2, "args": 3, "result": 4, "output": 5, "handles": 6, "staged": 7,
                "random": 8, "copies": 9, "net": 10}"#,
        );
        assert_eq!(given.lowered(&lower), Ok(given.with(&lower)));
        for (raise, name) in [
            (r#"{"timeout": "31s"}"#, "timeout"),
            (r#"{"memory": "257MiB"}"#, "memory"),
            (r#"{"args": "5MiB"}"#, "args"),
            (r#"{"result": "5MiB"}"#, "result"),
            (r#"{"output": "2MiB"}"#, "output"),
            (r#"{"handles": 1001}"#, "handles"),
            (r#"{"staged": "65MiB"}"#, "staged"),
            (r#"{"net": "65MiB"}"#, "net"),
            (r#"{"random": "65KiB"}"#, "random"),
            (r#"{"copies": "5MiB"}"#, "copies"),
        ] {
            assert_eq!(given.lowered(&some(raise)).unwrap_err().name, name);
        }
    }
}
