//! Names of errors that are the same in a guest and natively, where their numbers differ.

use std::io;

/// The name of an error's number, else `other:` and what is known.
pub fn name_of(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return format!("other:{:?}", error.kind()) };
    match NAMES.iter().find(|(of, _)| *of == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("other:{number}"),
    }
}

#[cfg(target_os = "wasi")]
const NAMES: [(i32, &str); 22] = [
    (2, "acces"),
    (8, "badf"),
    (10, "busy"),
    (20, "exist"),
    (22, "fbig"),
    (25, "ilseq"),
    (28, "inval"),
    (29, "io"),
    (31, "isdir"),
    (32, "loop"),
    (34, "mlink"),
    (37, "nametoolong"),
    (44, "noent"),
    (51, "nospc"),
    (54, "notdir"),
    (55, "notempty"),
    (58, "notsup"),
    (63, "perm"),
    (69, "rofs"),
    (70, "spipe"),
    (74, "txtbsy"),
    (75, "xdev"),
];

#[cfg(target_os = "linux")]
const NAMES: [(i32, &str); 22] = [
    (1, "perm"),
    (2, "noent"),
    (5, "io"),
    (9, "badf"),
    (13, "acces"),
    (16, "busy"),
    (17, "exist"),
    (18, "xdev"),
    (20, "notdir"),
    (21, "isdir"),
    (22, "inval"),
    (26, "txtbsy"),
    (27, "fbig"),
    (28, "nospc"),
    (29, "spipe"),
    (30, "rofs"),
    (31, "mlink"),
    (36, "nametoolong"),
    (39, "notempty"),
    (40, "loop"),
    (84, "ilseq"),
    (95, "notsup"),
];
