//! The standard file tools, as a component. This file only maps the exports of `wit/filesystem.wit`
//! to what does the work: `read`, `write`, `edit` (with `matching` and `diff`), `list`, `search`
//! (with `glob`) and `grep` (with `lines`, `utf16` and `ignoring`).
//!
//! The plugin decides nothing about what it may reach, and takes no care of other calls: the host
//! does both.

mod diff;
mod edit;
mod errors;
mod glob;
mod grep;
mod ignoring;
mod lines;
mod list;
mod matching;
mod paths;
mod read;
mod search;
mod utf16;
mod write;

use bindings::exports::inorder::filesystem::files;
use files::{Edit, Entry, FileContent, Found, Info, Listing, Matches, Media, Order, TreeEntry};

#[expect(unsafe_code, reason = "generated: the canonical ABI passes raw memory")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/filesystem.wit", world: "filesystem" });
    use super::Filesystem;
    export!(Filesystem);
}

struct Filesystem;

impl files::Guest for Filesystem {
    fn read_text_file(
        path: String,
        head: Option<u32>,
        tail: Option<u32>,
    ) -> Result<String, String> {
        read::text_file(&path, head, tail)
    }

    fn read_media_file(path: String) -> Result<Media, String> {
        read::media_file(&path)
    }

    fn read_multiple_files(paths: Vec<String>) -> Vec<FileContent> {
        read::multiple_files(paths)
    }

    fn write_file(path: String, content: String) -> Result<(), String> {
        write::file(&path, &content)
    }

    fn edit_file(path: String, edits: Vec<Edit>, dry_run: Option<bool>) -> Result<String, String> {
        edit::file(&path, &edits, dry_run.unwrap_or(false))
    }

    fn create_directory(path: String) -> Result<(), String> {
        write::directory(&path)
    }

    fn list_directory(path: String) -> Result<Vec<Entry>, String> {
        list::directory(&path)
    }

    fn list_directory_with_sizes(path: String, sort_by: Option<Order>) -> Result<Listing, String> {
        list::directory_with_sizes(&path, sort_by.unwrap_or(Order::Name))
    }

    fn directory_tree(
        path: String,
        exclude_patterns: Option<Vec<String>>,
    ) -> Result<Vec<TreeEntry>, String> {
        list::tree(&path, &exclude_patterns.unwrap_or_default())
    }

    fn move_file(source: String, destination: String) -> Result<(), String> {
        write::moved(&source, &destination)
    }

    fn search_files(
        path: String,
        pattern: String,
        exclude_patterns: Option<Vec<String>>,
    ) -> Result<Vec<Found>, String> {
        search::files(&path, &pattern, &exclude_patterns.unwrap_or_default())
    }

    fn get_file_info(path: String) -> Result<Info, String> {
        list::info(&path)
    }

    fn list_allowed_directories() -> Vec<String> {
        list::allowed_directories()
    }

    fn grep(
        path: String,
        pattern: String,
        glob: Option<String>,
        ignore_case: Option<bool>,
        before: Option<u32>,
        after: Option<u32>,
        max_results: Option<u32>,
    ) -> Result<Matches, String> {
        let (path, pattern, glob) = (&path, &pattern, glob.as_deref());
        let ignore_case = ignore_case.unwrap_or(false);
        grep::grep(&grep::Query { path, pattern, glob, ignore_case, before, after, max_results })
    }
}
