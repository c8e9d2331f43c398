//! The transactional filesystem: what calls see of the roots, what they stage, and how it becomes real.
//!
//! ```text
//! wasi, descriptor  what a guest calls
//!   translate, streams             its types, and the bytes of files
//! view              one run's files: a tree, its reads, its limits
//!   resolve, open, ops, file, edit, links paths, names, contents, in a tree
//!   tree, load, node, content      nodes over what is committed, loaded as they are asked for
//!   listing                        names in a directory, by name
//!   scope                          what may be reached
//!   reads, place                   what was looked at, as of which commit
//! plan, prepare     a tree's changes as steps, and everything of them that needs no lock
//! work              a batch's files; validation; the turn
//!   ledger                         our commits, and what each wrote
//!   steps, commit, journal         steps to the disk, all or nothing
//!   rollback                       steps taken back
//!   stage, shelf, lock             where what is staged waits, and who may commit
//!   layer                          the same for dry runs and atomic batches
//! recover, history  what is left of earlier batches; the log and undo
//! diff, patch       what would change, as text; names in it
//! touched           which paths a commit touches, for those who ask before it
//! disk, roots       system calls; where authority over files comes from
//! ```
//!
//! Knows paths and bytes, not calls: when a view is committed is `schedule/`'s to say.

#[cfg(test)]
mod abuse_tests;
#[cfg(test)]
mod adversary_tests;
mod bounds;
#[cfg(test)]
mod bounds_tests;
mod commit;
mod content;
mod descriptor;
mod diff;
mod disk;
mod edit;
mod file;
mod history;
mod journal;
#[cfg(any(test, feature = "fuzzing"))]
mod journal_fuzz;
mod layer;
mod ledger;
mod links;
mod listing;
mod load;
mod lock;
#[cfg(test)]
mod model;
mod node;
mod open;
mod ops;
mod patch;
mod place;
mod plan;
mod prepare;
mod reads;
mod recover;
mod resolve;
mod rollback;
mod roots;
mod scope;
mod shelf;
mod stage;
mod steps;
mod streams;
mod touched;
mod translate;
mod tree;
mod view;
mod wasi;
#[cfg(test)]
mod watch_tests;
mod work;

pub use bounds::{Bounds, Crowded};
pub use commit::{Changed, Failed};
pub use history::{Entry, LoggedCall, UndoError, log, undo};
#[cfg(any(test, feature = "fuzzing"))]
pub use journal_fuzz::fuzz_journal;
pub use place::Place;
pub use roots::{FilesError, Roots};
pub use scope::{Access, Declared, Denial, DeniedBy, Reach, Scope};
pub use shelf::INORDER;
pub use stage::Durability;
pub use touched::Touched;
pub use view::{Staged, Unfit, View};
pub use wasi::{Face, add_to_linker};
pub use work::{Effect, Files, Work, named};
