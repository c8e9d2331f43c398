//! The standard git tools. `component` maps the exports of `wit/git.wit` to what does the work: `status`, `diff`, `log`, `blame` and `branch` answer, `add`, `commit`,
//! `create` and `checkout` change a repository (`index` and `refs` write its files); `head` and `state` say where it
//! is; `tree`, `worktree`, `untracked` and `rename` find what changed, `patch` and `hunks` write it.
//!
//! gix reads repositories. What git prints is written here, and compared with git in `tests/`.

pub mod add;
pub mod blame;
pub mod branch;
mod change;
pub mod checkout;
pub mod commit;
pub mod create;
mod dates;
pub mod diff;
mod head;
mod history;
mod hunks;
mod index;
pub mod log;
mod message;
mod names;
mod patch;
mod refs;
mod rename;
mod repo;
mod safe;
mod state;
pub mod status;
mod tree;
mod untracked;
mod worktree;

// Its symbols are none that a native linker takes; the tests run natively.
#[cfg(target_os = "wasi")]
mod component;
