//! One attack on the host per function, each of which tells what it was refused. What should come of it only the
//! tests know; what needs odd wasm is text in `tests/hostile`.

mod files;
mod names;
mod streams;

wit_bindgen::generate!({ path: "hostile.wit", world: "hostile" });

use std::hint::black_box;
use std::io::Write as _;

use exports::test::hostile::attacks::Guest;
use wasip2::{clocks::monotonic_clock, random, sockets};

struct Hostile;
export!(Hostile);

/// What an attack was refused, or that it was not.
type Told = Result<String, String>;

impl Guest for Hostile {
    fn flood_stdout() {
        let mut out = std::io::stdout().lock();
        while out.write_all(&[b'x'; 4096]).is_ok() {}
    }

    fn flood_stderr() {
        let mut out = std::io::stderr().lock();
        while out.write_all(&[b'x'; 4096]).is_ok() {}
    }

    fn flood_log(mib: u32) {
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..mib * 1024 {
            eprint!("{line}");
        }
    }

    fn write_nothing(times: u32) -> Told {
        streams::write_nothing(times)
    }

    fn write_zeroes(bytes: u64) -> Told {
        streams::write_zeroes(bytes)
    }

    fn big_result(mib: u32) -> String {
        "x".repeat(mib as usize * (1 << 20))
    }

    fn take_memory() -> u32 {
        let mut held = Vec::new();
        loop {
            let mut piece: Vec<u8> = Vec::new();
            if piece.try_reserve_exact(1 << 20).is_err() {
                return held.len() as u32;
            }
            piece.resize(1 << 20, 1);
            held.push(black_box(piece));
        }
    }

    fn open_files(path: String, count: u32) -> Told {
        files::open_many(&path, count)
    }

    fn escape() -> Told {
        names::escape()
    }

    fn sockets() -> Told {
        use sockets::network::IpAddressFamily::{Ipv4, Ipv6};
        for family in [Ipv4, Ipv6] {
            if sockets::tcp_create_socket::create_tcp_socket(family).is_ok() {
                return Err("a TCP socket was made".into());
            }
            if sockets::udp_create_socket::create_udp_socket(family).is_ok() {
                return Err("a UDP socket was made".into());
            }
        }
        match std::net::TcpStream::connect("127.0.0.1:1") {
            Ok(_) => Err("it is connected".into()),
            Err(error) => Ok(format!("no socket was made: {error}")),
        }
    }

    fn resolve() -> Told {
        let network = sockets::instance_network::instance_network();
        let long = "a.".repeat(1 << 19);
        for name in ["localhost", "example.com", "127.0.0.1", &long] {
            if sockets::ip_name_lookup::resolve_addresses(&network, name).is_ok() {
                return Err(format!("{} was looked up", &name[..name.len().min(20)]));
            }
        }
        Ok("no name was looked up".into())
    }

    fn environment() -> Told {
        use wasip2::cli::environment;
        let variables = environment::get_environment();
        let arguments = environment::get_arguments();
        match (variables.len(), arguments.len(), environment::initial_cwd()) {
            (0, 0, None) => Ok("there is nothing".into()),
            _ => Err(format!("{variables:?} {arguments:?}")),
        }
    }

    fn random(bytes: u64, secure: bool) -> Told {
        let bytes = match secure {
            true => random::random::get_random_bytes(bytes),
            false => random::insecure::get_insecure_random_bytes(bytes),
        };
        Err(format!("{} random bytes were given", bytes.len()))
    }

    fn sleep() {
        monotonic_clock::subscribe_duration(u64::MAX).block();
        monotonic_clock::subscribe_instant(u64::MAX).block();
    }

    fn stdin() -> Told {
        streams::stdin()
    }

    fn poll_same(times: u32) -> Told {
        streams::poll_same(times)
    }

    fn leak_pollables(count: u32) -> Told {
        for _ in 0..count {
            std::mem::forget(monotonic_clock::subscribe_duration(1));
        }
        Err(format!("{count} pollables were made"))
    }

    fn far_clocks(count: u32, rounds: u32) -> Told {
        streams::far_clocks(count, rounds)
    }

    fn long_names(bytes: u32) -> Told {
        names::long(bytes as usize)
    }

    fn list_often(path: String, times: u32) -> Told {
        names::list(&path, times)
    }

    fn create_files(count: u32) -> Told {
        names::create(count)
    }

    fn churn(count: u32) -> Told {
        names::churn(count)
    }

    fn look(count: u32) -> Told {
        names::look(count)
    }

    fn nest(depth: u32, name: u32) -> Told {
        names::nest(depth, name as usize)
    }

    fn scatter(files: u32, bytes: u32) -> Told {
        files::scatter(files, bytes)
    }

    fn fill_and_empty(files: u32) -> Told {
        files::fill_and_empty(files)
    }

    fn stretch() -> Told {
        files::stretch()
    }

    fn rewrite(path: String) -> Told {
        files::rewrite(&path)
    }

    fn read_all(path: String, count: u32) -> Told {
        files::read_all(&path, count)
    }

    fn write_forever() {
        for number in 0u64.. {
            let _ = std::fs::write(format!("w{}", number % 40), vec![b'w'; 1 << 20]);
        }
    }
}
