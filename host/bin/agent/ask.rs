//! A question until it is answered: asked again where that may help, after as long as the server says.
//!
//! Nothing of an answer that broke off was run, so that asking again repeats nothing but the model's words.

use std::time::Duration;

use bytes::Bytes;
use inorder::CancellationToken;

use super::api::{Answer, Ids, Question};
use super::client::{Client, Failure};
use super::shown::Shown;
use crate::print;

const MOST_TRIES: u32 = 5;

/// A longer one is for a person to decide.
const MOST_WAIT: Duration = Duration::from_secs(5 * 60);

pub async fn ask(
    client: &Client,
    question: &Question<'_>,
    ids: &Ids,
    shown: &mut Shown,
    cancel: &CancellationToken,
) -> Result<Answer, Failure> {
    let api = client.endpoint().api;
    let body = Bytes::from(api.request(question).to_string());
    for tried in 1.. {
        let waiting = shown.waiting(question.model);
        let mut read = |text: &str| {
            waiting.end();
            shown.text(text);
        };
        let gathering = api.gathering(ids.clone());
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Stopped),
            answer = client.send(body.clone(), gathering, &mut read) => answer,
        };
        waiting.end();
        shown.end_line();
        let (why, wait) = match answer {
            Err(Failure::Passing { why, wait }) => (why, wait),
            ended => return ended,
        };
        if tried == MOST_TRIES {
            return Err(Failure::Fault(format!("{why}; asked {MOST_TRIES} times")));
        }
        let wait = wait.unwrap_or(Duration::from_secs(1 << (tried - 1)));
        if wait > MOST_WAIT {
            let time = print::time(wait);
            return Err(Failure::Fault(format!("{why}; it asks to wait for {time}")));
        }
        let when =
            if wait.is_zero() { String::new() } else { format!(" in {}", print::time(wait)) };
        shown.note(&format!("{why}; asking again{when} (try {} of {MOST_TRIES})", tried + 1));
        tokio::select! {
            () = cancel.cancelled() => return Err(Failure::Stopped),
            () = tokio::time::sleep(wait) => {}
        }
    }
    Err(Failure::Stopped)
}
