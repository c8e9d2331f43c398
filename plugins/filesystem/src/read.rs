//! Reads files: whole, the first or last lines, several, or as bytes. Knows nothing of directories.

use crate::errors::{Access, describe};
use crate::files::{FileContent, Media};
use crate::paths::given;
use memchr::{memchr_iter, memrchr_iter};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};

/// The most that is read at once. Above it the sandbox's memory would run out, which says less than
/// an error of ours.
const MOST: u64 = 64 << 20;
const CHUNK: usize = 64 << 10;

pub fn text_file(path: &str, head: Option<u32>, tail: Option<u32>) -> Result<String, String> {
    let path = &given(path)?;
    // models fill in optional numbers with 0
    let lines = match (head.filter(|&lines| lines > 0), tail.filter(|&lines| lines > 0)) {
        (Some(_), Some(_)) => {
            return Err(format!("{path}: head and tail cannot be given together"));
        }
        (None, None) => return text(path, MOST),
        lines => lines,
    };
    let (mut file, length) = open(path)?;
    let read = match lines {
        (Some(lines), _) => first_lines(&mut file, lines, MOST),
        (_, lines) => last_lines(&mut file, length, lines.unwrap_or(0), MOST),
    };
    let bytes = read.map_err(|error| describe(path, Access::Read, &error))?;
    utf8(
        path,
        bytes.ok_or_else(|| {
            format!("{path}: these lines are over {} MiB; ask for fewer", MOST >> 20)
        })?,
    )
}

pub fn media_file(path: &str) -> Result<Media, String> {
    let path = &given(path)?;
    Ok(Media { data: bytes(path, MOST)?, mime_type: mime_type(path).into() })
}

pub fn multiple_files(paths: Vec<String>) -> Vec<FileContent> {
    let mut left = MOST;
    paths
        .into_iter()
        .map(|path| {
            let content = given(&path).and_then(|path| text(&path, left));
            left -= content.as_ref().map_or(0, |content| (content.len() as u64).min(left));
            FileContent { path, content }
        })
        .collect()
}

/// The text of a file of at most this many bytes.
pub fn text(path: &str, most: u64) -> Result<String, String> {
    utf8(path, bytes(path, most)?)
}

/// Opens a regular file and tells its length.
pub fn open(path: &str) -> Result<(File, u64), String> {
    let failed = |error| describe(path, Access::Read, &error);
    // asked before opening: opening a pipe would wait for its other end
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("{path}: is a directory; list it with list_directory"));
    }
    if !metadata.is_file() {
        return Err(format!("{path}: not a regular file"));
    }
    Ok((File::open(path).map_err(failed)?, metadata.len()))
}

fn bytes(path: &str, most: u64) -> Result<Vec<u8>, String> {
    let (file, length) = open(path)?;
    let too_large = || {
        let size = format!("{length} bytes, of which at most {most} can be read here");
        format!(
            "{path}: too large to read whole ({size}); read a part with head or tail, or search it with grep"
        )
    };
    if length > most {
        return Err(too_large());
    }
    // one byte of room above the length lets the end of the file be seen without growing
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(path, Access::Read, &error))?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

fn utf8(path: &str, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes)
        .map_err(|_| format!("{path}: not UTF-8 text; read it with read_media_file"))
}

/// The first lines with their line ends; none if they are more than `most` bytes.
fn first_lines(reader: &mut impl Read, lines: u32, most: u64) -> io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut left) = (Vec::new(), lines as usize);
    while bytes.len() as u64 <= most {
        let start = bytes.len();
        // the first lines are usually short: begin small
        let chunk = (start * 2).clamp(CHUNK / 8, CHUNK);
        if reader.by_ref().take(chunk as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(Some(bytes));
        }
        let mut ends = memchr_iter(b'\n', &bytes[start..]);
        if let Some(end) = ends.nth(left - 1) {
            bytes.truncate(start + end + 1);
            return Ok(Some(bytes));
        }
        left -= memchr_iter(b'\n', &bytes[start..]).count();
    }
    Ok(None)
}

/// The last lines with their line ends; none if they are more than `most` bytes. Reads from the end
/// backward.
fn last_lines(
    reader: &mut (impl Read + Seek),
    length: u64,
    lines: u32,
    most: u64,
) -> io::Result<Option<Vec<u8>>> {
    let mut start = length;
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut left = lines as usize;
    while start > 0 && length - start <= most {
        let size = (length - start).clamp(CHUNK as u64 / 8, CHUNK as u64).min(start);
        start -= size;
        reader.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::with_capacity(size as usize);
        reader.by_ref().take(size).read_to_end(&mut chunk)?;
        // the line end that closes the file begins no further line
        let searched = chunk.len() - usize::from(chunks.is_empty() && chunk.ends_with(b"\n"));
        let cut = memrchr_iter(b'\n', &chunk[..searched]).nth(left - 1);
        if cut.is_none() {
            left -= memchr_iter(b'\n', &chunk[..searched]).count();
        }
        chunks.push(match cut {
            Some(end) => chunk.split_off(end + 1),
            None => chunk,
        });
        if cut.is_some() {
            start = 0;
        }
    }
    chunks.reverse();
    Ok((start == 0).then(|| chunks.concat()))
}

fn mime_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension =
        name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        "ico" => "image/x-icon",
        "tif" | "tiff" => "image/tiff",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "wav" => "audio/wav",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn head(text: &str, lines: u32) -> String {
        String::from_utf8(first_lines(&mut Cursor::new(text), lines, MOST).unwrap().unwrap())
            .unwrap()
    }

    fn tail(text: &str, lines: u32) -> String {
        String::from_utf8(
            last_lines(&mut Cursor::new(text), text.len() as u64, lines, MOST).unwrap().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn head_and_tail_keep_lines_as_they_are() {
        for (text, lines, first, last) in [
            ("", 1, "", ""),
            ("\n", 1, "\n", "\n"),
            ("\n\n", 1, "\n", "\n"),
            ("a", 1, "a", "a"),
            ("a\nb", 1, "a\n", "b"),
            ("a\nb\n", 1, "a\n", "b\n"),
            ("a\r\nb\r\nc\r\n", 2, "a\r\nb\r\n", "b\r\nc\r\n"),
            ("a\nb\n", 2, "a\nb\n", "a\nb\n"),
            ("a\nb\n", u32::MAX, "a\nb\n", "a\nb\n"),
            ("é\nü\n", 1, "é\n", "ü\n"),
        ] {
            assert_eq!(head(text, lines), first, "head {lines} of {text:?}");
            assert_eq!(tail(text, lines), last, "tail {lines} of {text:?}");
        }
    }

    #[test]
    fn head_and_tail_agree_with_counting_whole_lines_across_chunks() {
        for width in [0, 1, 63, 8_191, 8_192, 70_000] {
            for closing in ["", "\n"] {
                let text = (0..40)
                    .map(|n| format!("{n}{}", "x".repeat(width)))
                    .collect::<Vec<_>>()
                    .join("\n")
                    + closing;
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                for count in [1, 2, 7, 39, 40, 41] {
                    let kept = count.min(lines.len());
                    assert_eq!(head(&text, count as u32), lines[..kept].concat());
                    assert_eq!(tail(&text, count as u32), lines[lines.len() - kept..].concat());
                }
            }
        }
    }

    #[test]
    fn a_line_above_the_limit_is_refused_rather_than_cut() {
        let text = "x".repeat(300_000);
        assert!(first_lines(&mut Cursor::new(&text), 1, 100_000).unwrap().is_none());
        assert!(last_lines(&mut Cursor::new(&text), 300_000, 1, 100_000).unwrap().is_none());
    }

    #[test]
    fn media_types_go_by_the_extension_of_the_name() {
        for (path, expected) in [
            ("a/b.PNG", "image/png"),
            ("a.png/b", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(mime_type(path), expected);
        }
    }
}
