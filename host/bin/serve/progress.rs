//! How far a call has come, for a client that gave a token for it: queued, running, running again, done.
//!
//! Numbers only grow, as the protocol wants. Where no token was given, nothing is listened to.

use inorder::{Progress as Event, Status};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::live::words;

/// Tells one request's progress. Does nothing without a token.
pub struct Progress(Option<Listener>);

struct Listener {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    told: f64,
    ended: CancellationToken,
}

type Events = mpsc::UnboundedReceiver<Event>;
type Sender = Option<mpsc::UnboundedSender<Event>>;

impl Progress {
    /// Until the connection has `ended`: the SDK takes answers for a while longer, and would keep a notification waiting.
    pub fn of(context: &RequestContext<RoleServer>, ended: &CancellationToken) -> Progress {
        let token = context.meta.get_progress_token();
        let (peer, ended) = (context.peer.clone(), ended.clone());
        Progress(token.map(|token| Listener { peer, token, told: 0.0, ended }))
    }

    /// What a single call is to be given, and what tells of it until it has ended.
    pub fn of_call(&mut self) -> (Sender, impl Future<Output = ()>) {
        let (sender, events) = self.0.is_some().then(mpsc::unbounded_channel).unzip();
        (sender, self.tell_of_call(events))
    }

    /// Likewise for a batch of these tools.
    pub fn of_batch(&mut self, tools: Vec<String>) -> (Sender, impl Future<Output = ()>) {
        let (sender, events) = self.0.is_some().then(mpsc::unbounded_channel).unzip();
        (sender, self.tell_of_batch(events, tools))
    }

    async fn tell_of_call(&mut self, events: Option<Events>) {
        let (Some(listener), Some(mut events)) = (&mut self.0, events) else { return };
        listener.say(None, "queued".to_owned()).await;
        let mut runs = 0;
        while let Some(event) = events.recv().await {
            match event {
                Event::Started(_) => {
                    runs += 1;
                    let again = "running again: what it had read was changed by another call";
                    let text = if runs == 1 { "running" } else { again };
                    listener.say(None, text.to_owned()).await;
                }
                Event::Said(_, said) => listener.say(None, words(&said)).await,
                Event::Ended(..) => {
                    let total = listener.told;
                    return listener.say(Some(total), "done".to_owned()).await;
                }
            }
        }
    }

    async fn tell_of_batch(&mut self, events: Option<Events>, tools: Vec<String>) {
        let (Some(listener), Some(mut events)) = (&mut self.0, events) else { return };
        let total = tools.len() as f64;
        listener.say(Some(total), "queued".to_owned()).await;
        while let Some(event) = events.recv().await {
            // A call that starts is no step towards the total; there may be thousands of them.
            let Event::Ended(call, status) = event else { continue };
            let how = match status {
                Status::Ok => "done",
                Status::Error => "failed",
                Status::Skipped => "skipped",
            };
            let tool = tools.get(call).map_or("", String::as_str);
            listener.say(Some(total), format!("call {}, {tool}: {how}", call + 1)).await;
        }
    }
}

impl Listener {
    async fn say(&mut self, total: Option<f64>, message: String) {
        let mut step =
            ProgressNotificationParam::new(self.token.clone(), self.told).with_message(message);
        step.total = total;
        self.told += 1.0;
        tokio::select! {
            biased;
            () = self.ended.cancelled() => {}
            // A client that has gone hears no more of it.
            _ = self.peer.notify_progress(step) => {}
        }
    }
}
