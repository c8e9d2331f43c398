//! One small behaviour per function, for the host's tests and benchmarks. What each does is in
//! `probe.wit`; what should come of it only the tests know.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime};

wit_bindgen::generate!({ path: "probe.wit", world: "probe-guest", generate_all });

use exports::test::probe::probe::{Failure, Guest, Quota};

struct Probe;
export!(Probe);

impl Guest for Probe {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    fn echo(text: String) -> String {
        text
    }

    fn echo_bytes(data: Vec<u8>) -> Vec<u8> {
        data
    }

    fn sleep(ms: u32) {
        std::thread::sleep(Duration::from_millis(ms.into()));
    }

    fn spin() {
        loop {
            black_box(());
        }
    }

    fn burn(iterations: u64) -> u64 {
        // xorshift: no closed form for the optimizer to find
        (0..iterations).fold(0x9e37_79b9_7f4a_7c15, |mut x: u64, _| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^ (x << 17)
        })
    }

    fn fail(message: String) -> Result<String, String> {
        Err(message)
    }

    fn fail_typed() -> Result<(), Failure> {
        Err(Failure::Quota(Quota { limit: 10, used: 10 }))
    }

    fn panic(message: String) {
        panic!("{message}");
    }

    fn allocate(mib: u32) -> u32 {
        let held: Vec<Vec<u8>> = (0..mib).map(|_| black_box(vec![1; 1 << 20])).collect();
        black_box(&held).len() as u32
    }

    fn recurse() {
        black_box(deeper(0));
    }

    fn print(text: String, times: u32) {
        let mut out = io::stdout().lock();
        for _ in 0..times {
            out.write_all(text.as_bytes()).expect("stdout takes the text");
        }
        out.flush().expect("stdout takes the text");
    }

    fn warn(text: String) {
        eprint!("{text}");
    }

    fn big(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    fn env(name: String) -> Option<String> {
        std::env::var(name).ok()
    }

    fn env_all() -> Vec<(String, String)> {
        std::env::vars().collect()
    }

    fn args() -> Vec<String> {
        std::env::args().collect()
    }

    fn read_stdin() -> Result<String, String> {
        io::read_to_string(io::stdin()).map_err(text)
    }

    fn read(path: String) -> Result<String, String> {
        fs::read_to_string(path).map_err(text)
    }

    fn write(path: String, content: String) -> Result<(), String> {
        fs::write(path, content).map_err(text)
    }

    fn list(path: String) -> Result<Vec<String>, String> {
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        let names: io::Result<Vec<_>> = fs::read_dir(path).map_err(text)?.map(name).collect();
        let mut names = names.map_err(text)?;
        names.sort();
        Ok(names)
    }

    fn connect(address: String) -> Result<(), String> {
        TcpStream::connect(address).map(drop).map_err(text)
    }

    fn resolve(name: String) -> Result<Vec<String>, String> {
        let addresses = (name.as_str(), 0).to_socket_addrs().map_err(text)?;
        Ok(addresses.map(|address| address.ip().to_string()).collect())
    }

    fn now() -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.expect("the clock is past 1970").as_millis() as u64
    }

    fn random(n: u32) -> Vec<u8> {
        wasi::random::random::get_random_bytes(n.into())
    }

    fn exit(code: u8) {
        std::process::exit(code.into());
    }

    fn open_many(path: String, count: u32) -> u32 {
        let held: Vec<File> = (0..count).map_while(|_| File::open(&path).ok()).collect();
        held.len() as u32
    }
}

/// Neither call is in tail position, and `black_box` keeps the compiler from making it a loop.
fn deeper(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { depth } else { black_box(deeper(depth + 1)) }
}

fn text(error: io::Error) -> String {
    error.to_string()
}
