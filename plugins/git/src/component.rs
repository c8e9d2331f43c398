//! The exports of `wit/git.wit`, by name.

use std::time::{SystemTime, UNIX_EPOCH};

use bindings::exports::inorder::git::repository::{self, BranchType};

use crate::{add, blame, branch, checkout, commit, create, diff, log, status};

#[expect(unsafe_code, reason = "generated: the canonical ABI passes raw memory")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/git.wit", world: "git" });
    use super::Git;
    export!(Git);
}

struct Git;

type Answer = Result<String, String>;

/// The working directory is the usual repository.
fn at(repo_path: Option<&String>) -> &str {
    repo_path.map_or(".", String::as_str)
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

impl repository::Guest for Git {
    fn git_status(repo_path: Option<String>) -> Answer {
        status::status(at(repo_path.as_ref()))
    }

    fn git_diff_unstaged(repo_path: Option<String>, context_lines: Option<u32>) -> Answer {
        diff::unstaged(at(repo_path.as_ref()), context_lines)
    }

    fn git_diff_staged(repo_path: Option<String>, context_lines: Option<u32>) -> Answer {
        diff::staged(at(repo_path.as_ref()), context_lines)
    }

    fn git_diff(target: String, repo_path: Option<String>, context_lines: Option<u32>) -> Answer {
        diff::with(at(repo_path.as_ref()), &target, context_lines)
    }

    fn git_log(
        repo_path: Option<String>,
        max_count: Option<u32>,
        start_timestamp: Option<String>,
        end_timestamp: Option<String>,
        path: Option<String>,
    ) -> Answer {
        let query = log::Query {
            most: max_count,
            since: start_timestamp.as_deref(),
            until: end_timestamp.as_deref(),
            path: path.as_deref(),
        };
        log::log(at(repo_path.as_ref()), &query, now())
    }

    fn git_show(revision: String, repo_path: Option<String>) -> Answer {
        log::show(at(repo_path.as_ref()), &revision)
    }

    fn git_blame(
        path: String,
        repo_path: Option<String>,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Answer {
        blame::blame(at(repo_path.as_ref()), &path, from, to)
    }

    fn git_branch(
        repo_path: Option<String>,
        branch_type: Option<BranchType>,
        contains: Option<String>,
        not_contains: Option<String>,
    ) -> Answer {
        let which = match branch_type {
            None | Some(BranchType::Local) => branch::Which::Local,
            Some(BranchType::Remote) => branch::Which::Remote,
            Some(BranchType::All) => branch::Which::All,
        };
        branch::branch(at(repo_path.as_ref()), which, contains.as_deref(), not_contains.as_deref())
    }

    fn git_add(files: Vec<String>, repo_path: Option<String>) -> Answer {
        add::add(at(repo_path.as_ref()), &files)
    }

    fn git_commit(message: String, repo_path: Option<String>) -> Answer {
        commit::commit(at(repo_path.as_ref()), &message, now())
    }

    fn git_reset(repo_path: Option<String>) -> Answer {
        add::reset(at(repo_path.as_ref()))
    }

    fn git_create_branch(
        branch_name: String,
        base_branch: Option<String>,
        repo_path: Option<String>,
    ) -> Answer {
        create::create_branch(at(repo_path.as_ref()), &branch_name, base_branch.as_deref(), now())
    }

    fn git_checkout(branch_name: String, repo_path: Option<String>) -> Answer {
        checkout::checkout(at(repo_path.as_ref()), &branch_name, now())
    }
}
