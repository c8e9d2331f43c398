//! Bytes to text: in which encoding a body is, and whether it is text at all. Knows the WHATWG's standards for encodings and for sniffing.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// A body begins to tell what it is within this many bytes.
pub const HEAD: usize = 1445;

/// A page's encoding is declared within this many bytes.
const DECLARED_WITHIN: usize = 1024;

/// By the mark in front of the text, else by its type, else as the page itself declares. UTF-8 if nobody says.
pub fn decode(body: &[u8], content_type: &str) -> String {
    let declared = || declared(&body[..body.len().min(DECLARED_WITHIN)]);
    let encoding = of_type(content_type).or_else(declared).unwrap_or(UTF_8);
    // It looks for a mark first, and takes it away.
    encoding.decode(body).0.into_owned()
}

/// Whether a body that begins so is anything but text.
pub fn is_binary(head: &[u8], content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (class, kind) = essence.split_once('/').unwrap_or((&essence, ""));
    if matches!(class, "image" | "audio" | "video" | "font") && !kind.ends_with("xml") {
        return true;
    }
    let wide = |it: &'static Encoding| it == UTF_16LE || it == UTF_16BE;
    if Encoding::for_bom(head).is_some() || of_type(content_type).is_some_and(wide) {
        return false;
    }
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    kind == "pdf" || head.starts_with(b"%PDF-") || head.iter().take(HEAD).any(binary)
}

fn of_type(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1).filter_map(|it| it.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let (_, value) = named.next()?;
    Encoding::for_label(value.trim().trim_matches(['"', '\'']).as_bytes())
}

/// `<meta charset="..">` or `<meta http-equiv=content-type content="text/html; charset=..">`.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let uncommented = head.split("<!--").enumerate().map(|(n, part)| match n {
        0 => part,
        _ => part.split_once("-->").map_or("", |(_, rest)| rest),
    });
    let uncommented: String = uncommented.collect();
    let metas = uncommented.split("<meta").skip(1).filter_map(|it| it.split('>').next());
    let mut found =
        metas.filter(|it| it.starts_with([' ', '\t', '\r', '\n', '/'])).filter_map(|meta| {
            let value = meta.split_once("charset")?.1.trim_start().strip_prefix('=')?;
            let value = value.trim_start().trim_start_matches(['"', '\'']);
            let end =
                value.find([' ', '\t', '\r', '\n', '"', '\'', ';', '/']).unwrap_or(value.len());
            Encoding::for_label(&value.as_bytes()[..end])
        });
    // What can declare itself in ASCII is not UTF-16.
    let encoding = found.next()?;
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found_where_it_is_said() {
        let windows = b"<meta charset='windows-1251'>\xcf\xf0\xe8\xe2\xe5\xf2";
        let japanese = b"<html><head><META content=\"text/html; charset=Shift_JIS\" http-equiv=Content-Type>\x93\xfa\x96\x7b";
        for (body, content_type, expected) in [
            (&b"caf\xc3\xa9"[..], "text/plain", "caf\u{e9}"),
            (b"caf\xe9", "text/html; charset=iso-8859-1", "caf\u{e9}"),
            (b"caf\xe9", "text/html;Charset=\"latin1\"", "caf\u{e9}"),
            (b"caf\xe9", "text/html; charset=nonsense", "caf\u{fffd}"),
            // A mark is above all else.
            (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=latin1", "caf\u{e9}"),
            (b"\xff\xfeh\0i\0", "text/plain", "hi"),
            (b"\0h\0i", "text/plain; charset=utf-16be", "hi"),
            // What the server says is above what the page says.
            (
                b"<meta charset=utf-8>\xe9",
                "text/html; charset=latin1",
                "<meta charset=utf-8>\u{e9}",
            ),
            (b"<meta charset=utf-16>\xc3\xa9", "text/html", "<meta charset=utf-16>\u{e9}"),
            (
                b"<!--<meta charset=latin1>-->\xc3\xa9",
                "text/html",
                "<!--<meta charset=latin1>-->\u{e9}",
            ),
            (b"<metal charset=latin1>\xc3\xa9", "text/html", "<metal charset=latin1>\u{e9}"),
        ] {
            assert_eq!(decode(body, content_type), expected, "{content_type}");
        }
        assert!(
            decode(windows, "text/html").ends_with("\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}")
        );
        assert!(decode(japanese, "text/html").ends_with("\u{65e5}\u{672c}"));
        let late = [" ".repeat(2000).as_bytes(), b"<meta charset=latin1>\xe9"].concat();
        assert!(decode(&late, "text/html").ends_with('\u{fffd}'));
    }

    #[test]
    fn what_is_not_text_is_known_by_its_type_or_its_bytes() {
        for (head, content_type, binary) in [
            (&b"hello"[..], "text/plain", false),
            (b"hello", "application/octet-stream", false),
            (b"hello", "", false),
            (b"", "application/json", false),
            (b"<svg/>", "image/svg+xml", false),
            (b"h\0i\0", "text/plain; charset=utf-16le", false),
            (b"\xff\xfeh\0i\0", "text/plain", false),
            (b"\x1b[1mbold\x1b[0m\x0c", "text/plain", false),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "text/html", true),
            (b"hello", "image/png", true),
            (b"hello", "Font/WOFF2", true),
            (b"%PDF-1.7\n", "", true),
            (b"PK\x03\x04", "application/zip", true),
        ] {
            assert_eq!(is_binary(head, content_type), binary, "{content_type} {head:?}");
        }
    }
}
