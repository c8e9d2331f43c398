//! Reads, writes and lists files for the benchmark. `streams.rs` reads by the WASI interfaces themselves, the rest
//! is the standard library.

use std::fs;
use std::hint::black_box;
use std::io::Write as _;

wit_bindgen::generate!({
    path: [
        "../../../host/files/wit/deps/io.wit",
        "../../../host/files/wit/deps/clocks.wit",
        "../../../host/files/wit/deps/filesystem.wit",
        "readers.wit",
    ],
    world: "test:readers/readers-guest",
    generate_all,
});

mod streams;

use exports::test::readers::readers::Guest;
use streams::Answer;

struct Readers;
export!(Readers);

impl Guest for Readers {
    fn nothing(path: String) -> Answer<u64> {
        Ok(path.len() as u64)
    }

    fn read_std(path: String) -> Answer<u64> {
        let bytes = fs::read(path).map_err(words)?;
        Ok(black_box(bytes).len() as u64)
    }

    fn read_blocking(path: String) -> Answer<u64> {
        streams::read(&path, streams::blocking)
    }

    fn read_polling(path: String) -> Answer<u64> {
        streams::read(&path, streams::polling)
    }

    fn stat(path: String) -> Answer<u64> {
        Ok(fs::metadata(path).map_err(words)?.len())
    }

    fn entries(path: String) -> Answer<u64> {
        let entries = fs::read_dir(path).map_err(words)?;
        let mut count = 0;
        for entry in entries {
            black_box(entry.map_err(words)?);
            count += 1;
        }
        Ok(count)
    }

    fn write(path: String, length: u32) -> Answer<u64> {
        fs::write(path, vec![b'x'; length as usize]).map_err(words)?;
        Ok(length.into())
    }

    fn append(path: String, length: u32) -> Answer<u64> {
        let mut file =
            fs::OpenOptions::new().append(true).create(true).open(path).map_err(words)?;
        file.write_all(&vec![b'y'; length as usize]).map_err(words)?;
        Ok(length.into())
    }

    fn edit(path: String) -> Answer<u64> {
        count_up(&path, 0)
    }

    fn edit_shared(spin: u32) -> Answer<u64> {
        count_up("shared", spin)
    }

    fn burn(path: String, spin: u32) -> Answer<u64> {
        count_up(&path, spin)
    }
}

fn count_up(path: &str, spin: u32) -> Answer<u64> {
    let mut text = fs::read_to_string(path).map_err(words)?;
    let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 =
        text[..digits].parse().map_err(|_| "no number at its beginning".to_owned())?;
    spun(spin);
    text.replace_range(..digits, &(number + 1).to_string());
    fs::write(path, text).map_err(words)?;
    Ok(number + 1)
}

fn spun(rounds: u32) {
    let spin =
        |sum: u64, round: u32| black_box(sum ^ u64::from(round)).wrapping_mul(0x100_0000_01b3);
    black_box((0..rounds).fold(0, spin));
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn words(error: std::io::Error) -> String {
    error.to_string()
}
