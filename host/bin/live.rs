//! The live display: a line per call while the batch runs, gone when it ends.
//!
//! Draws what it is told; decides nothing. A large batch gets one line for all of its calls.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use inorder::{Plan, Progress, Said, Status, ToolRef};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::print;

/// More lines than this do not fit a screen.
const MOST_LINES: usize = 24;

pub struct Live {
    sender: mpsc::UnboundedSender<Progress>,
    screen: Screen,
    drawing: JoinSet<()>,
}

/// The lines, for somebody who needs the screen for a while.
#[derive(Clone, Debug)]
pub struct Screen(mpsc::UnboundedSender<Want>);

#[derive(Debug)]
enum Want {
    /// The screen, told when it is free.
    Pause(oneshot::Sender<()>),
    Resume,
}

/// The screen is somebody's, until this is dropped.
#[must_use]
pub struct Paused(Screen);

impl Screen {
    /// Waits until nothing is drawn.
    pub async fn pause(&self) -> Paused {
        let (free, freed) = oneshot::channel();
        // Whoever draws no more has left the screen.
        if self.0.send(Want::Pause(free)).is_ok() {
            let _ = freed.await;
        }
        Paused(self.clone())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = self.0.0.send(Want::Resume);
    }
}

impl Live {
    pub fn start(plan: &Plan<ToolRef>) -> Live {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let lines = Lines::new(plan);
        let (wants, mut wanted) = mpsc::unbounded_channel();
        let mut drawing = JoinSet::new();
        drawing.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    Some(want) = wanted.recv() => match want {
                        Want::Pause(free) => {
                            lines.hide();
                            let _ = free.send(());
                        }
                        Want::Resume => lines.unhide(),
                    },
                    progress = receiver.recv() => match progress {
                        Some(progress) => lines.show(progress),
                        None => break,
                    },
                }
            }
            lines.clear();
        });
        Live { sender, screen: Screen(wants), drawing }
    }

    pub fn screen(&self) -> Screen {
        self.screen.clone()
    }

    pub fn sender(&self) -> mpsc::UnboundedSender<Progress> {
        self.sender.clone()
    }

    /// Takes the lines away, once everything that was sent is drawn.
    pub async fn clear(self) {
        let Live { sender, mut drawing, .. } = self;
        drop(sender);
        while drawing.join_next().await.is_some() {}
    }
}

enum Lines {
    Each { screen: MultiProgress, calls: Vec<ProgressBar> },
    One(ProgressBar),
}

impl Lines {
    fn new(plan: &Plan<ToolRef>) -> Lines {
        if plan.calls().len() > MOST_LINES {
            let bar = ProgressBar::new(plan.calls().len() as u64);
            bar.set_style(style("{spinner} {pos} of {len} calls {wide_bar} {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            return Lines::One(bar);
        }
        let screen = MultiProgress::new();
        let calls = plan.calls().iter().map(|call| {
            let bar = screen.add(ProgressBar::new_spinner());
            bar.set_style(style("{prefix:.dim} {msg:.dim} waiting"));
            bar.set_prefix(print::line(&call.id, 16));
            bar.set_message(print::line(&call.tool, 32));
            bar.tick();
            bar
        });
        let calls = calls.collect();
        Lines::Each { screen, calls }
    }

    fn show(&self, progress: Progress) {
        match (self, progress) {
            (Lines::Each { calls, .. }, Progress::Started(call)) => {
                if let Some(bar) = calls.get(call) {
                    bar.reset_elapsed();
                    bar.set_style(style("{spinner} {prefix:.bold} {msg} {elapsed:.dim}"));
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
            }
            (Lines::Each { calls, .. }, Progress::Said(call, said)) => {
                if let Some(bar) = calls.get(call) {
                    // Beside the tool's name, which is the first word of what is there.
                    let shown = bar.message();
                    let tool = shown.split(' ').next().unwrap_or_default();
                    bar.set_message(format!("{tool} {}", print::line(&words(&said), 60)));
                }
            }
            (Lines::Each { calls, .. }, Progress::Ended(call, status)) => {
                if let Some(bar) = calls.get(call) {
                    bar.set_style(style("{msg}"));
                    let (id, shown) = (bar.prefix(), bar.message());
                    let tool = shown.split(' ').next().unwrap_or_default();
                    let text = format!("{} {id} {tool}", print::mark(status));
                    let text = console::style(text).for_stderr();
                    let text = match status {
                        Status::Ok => text.green(),
                        Status::Error => text.red().bold(),
                        Status::Skipped => text.dim(),
                    };
                    bar.finish_with_message(text.to_string());
                }
            }
            (Lines::One(bar), Progress::Ended(..)) => bar.inc(1),
            (Lines::One(_), Progress::Started(_) | Progress::Said(..)) => {}
        }
    }

    /// Takes the lines away, and draws none until [`Lines::unhide`].
    fn hide(&self) {
        match self {
            Lines::Each { screen, .. } => {
                let _ = screen.clear();
                screen.set_draw_target(ProgressDrawTarget::hidden());
            }
            Lines::One(bar) => bar.set_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    fn unhide(&self) {
        match self {
            Lines::Each { screen, calls } => {
                screen.set_draw_target(ProgressDrawTarget::stderr());
                calls.iter().for_each(ProgressBar::tick);
            }
            Lines::One(bar) => bar.set_draw_target(ProgressDrawTarget::stderr()),
        }
    }

    fn clear(&self) {
        match self {
            // What cannot be cleared is a terminal that is gone.
            Lines::Each { screen, .. } => drop(screen.clear()),
            Lines::One(bar) => bar.finish_and_clear(),
        }
    }
}

/// `3/10 reading`, of what a tool says of itself.
pub fn words(said: &Said) -> String {
    let of = said.total.map(|total| format!("/{total}")).unwrap_or_default();
    match &*said.message {
        "" => format!("{}{of}", said.done),
        message => format!("{}{of} {message}", said.done),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
