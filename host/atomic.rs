//! The end of an atomic batch: somebody agrees to all of it, if anybody has to; then all of it is made real, or nothing.
//!
//! Asked once, at the end: before, nothing becomes real, and of a batch of which a call has failed nothing ever will.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::approval::{About, Question};
use crate::asking::{Said, ask_person, why};
use crate::batch::{Change, Committed, Report};
use crate::files::Failed;
use crate::job::BatchJob;
use crate::options::RunOptions;

/// The changes that somebody has agreed to, should the batch run again.
pub(crate) type Agreed = Option<[u8; 32]>;

/// Makes a batch real, if all of it went well and nobody objects.
///
/// # Errors
/// It has to run again, or the files cannot be changed.
pub(crate) async fn all_or_none(
    report: &Report,
    job: &Arc<BatchJob>,
    options: &RunOptions,
    agreed: &mut Agreed,
) -> Result<Option<String>, Failed> {
    if let Some(failed) = report.results.iter().find(|outcome| outcome.result.is_err()) {
        return Ok(Some(format!("the call {:?} failed", failed.id)));
    }
    if let Some(because) = objection(report, job, options, agreed).await {
        return Ok(Some(because));
    }
    job.work().flush().map(|_| None)
}

/// Why not, if somebody is to be asked and does not agree.
async fn objection(
    report: &Report,
    job: &Arc<BatchJob>,
    options: &RunOptions,
    agreed: &mut Agreed,
) -> Option<String> {
    let (calls, line) = job.to_ask()?;
    let approver = options.approver.as_ref();
    loop {
        let told = match approver {
            Some(_) => {
                let (job, mut telling) = (job.clone(), JoinSet::new());
                // It reads and compares files.
                telling.spawn_blocking(move || job.work().tell());
                telling.join_next().await.and_then(Result::ok).unwrap_or_default()
            }
            None => Default::default(),
        };
        if told.digest.is_some() && *agreed == told.digest {
            job.work().rely_on(told);
            return None;
        }
        let changes = changes(report);
        let about = About::Files { changes, diff: told.text.clone() };
        let question = Question { calls: calls.clone(), about };
        job.answered("cancelled");
        let said = tokio::select! {
            biased;
            () = options.cancel.cancelled() => {
                return Some("the batch was cancelled while somebody was asked about it".to_owned());
            }
            said = ask_person(approver, question) => said,
        };
        job.answered(said.answer());
        if let Some(why) = why(&said, &line) {
            return Some(why);
        }
        debug_assert_eq!(said, Said::Yes);
        // Once more, as the files may have changed since; not, if they are too large to be compared.
        let Some(digest) = told.digest else {
            job.work().rely_on(told);
            return None;
        };
        *agreed = Some(digest);
    }
}

/// What all calls have changed, in order, without what was changed once more.
fn changes(report: &Report) -> Vec<Change> {
    let mut known = HashSet::new();
    let all = report.results.iter().flat_map(|outcome| &outcome.changes);
    let news = all.filter(|change| match change {
        Change::Created(path) | Change::Modified(path) => {
            known.insert(path) || matches!(change, Change::Created(_))
        }
        Change::Removed(path) => {
            known.remove(path);
            true
        }
        Change::Renamed { .. } => {
            known.clear();
            true
        }
    });
    news.cloned().collect()
}

/// What the report says of it.
pub(crate) fn told(ended: Result<Option<String>, Failed>) -> Committed {
    match ended {
        Ok(None) => Committed::Yes,
        Ok(Some(because)) => Committed::No { because },
        Err(Failed::Stale { what, .. }) => Committed::No {
            because: format!("{what} was changed from outside each time the batch ran"),
        },
        Err(Failed::Broken(message)) => {
            Committed::No { because: format!("the files cannot be changed: {message}") }
        }
    }
}
