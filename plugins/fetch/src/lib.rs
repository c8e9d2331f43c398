//! The standard fetch tool. `component` maps the export of `wit/fetch.wit` to `fetch`, which knows redirects, `robots` and what to answer; `http`
//! sends its requests. `charset` makes text of bytes, `article` an article of a page, `markdown` Markdown of an article.
//!
//! Its words are those of the reference MCP fetch server, with which `tests/` compare it.

pub mod article;
pub mod charset;
pub mod fetch;
pub mod markdown;
pub mod robots;
mod text;

// Its symbols are none that a native linker takes; the tests run natively.
#[cfg(target_os = "wasi")]
mod component;
#[cfg(target_os = "wasi")]
mod http;
