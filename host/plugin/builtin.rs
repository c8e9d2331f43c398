//! The plugins that come with the host: built components, embedded with their WIT.

/// A component inside this binary.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    pub name: &'static str,
    pub component: &'static [u8],
    /// For the descriptions of its tools.
    pub wit: &'static str,
    /// What it may read where no config grants anything: patterns of paths.
    pub reads: &'static [&'static str],
}

/// All of them. They are built from `plugins/` by `plugins/build.sh`.
pub fn builtins() -> &'static [Builtin] {
    &[
        Builtin {
            name: "filesystem",
            component: include_bytes!("../../plugins/dist/filesystem.wasm"),
            wit: include_str!("../../wit/filesystem.wit"),
            reads: &["**"],
        },
        Builtin {
            name: "memory",
            component: include_bytes!("../../plugins/dist/memory.wasm"),
            wit: include_str!("../../wit/memory.wit"),
            reads: &[".memory/**"],
        },
        Builtin {
            name: "time",
            component: include_bytes!("../../plugins/dist/time.wasm"),
            wit: include_str!("../../wit/time.wit"),
            reads: &[],
        },
    ]
}
