//! Names to addresses. Asked once for each new connection, whose address is then a checked one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;

use tokio::sync::Semaphore;

/// Looks up hosts' names. What it answers is checked, so that it need not be trusted.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `name`, which is in lower case, without a dot at its end, and never `localhost`.
    ///
    /// # Errors
    /// They cannot be looked up, or there are none.
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// Lookups of the process that may be under way: each is a thread of the runtime's for blocking work until the system has
/// answered, also when nobody waits for it any more.
const MOST_AT_ONCE: usize = 32;

static LOOKUPS: Semaphore = Semaphore::const_new(MOST_AT_ONCE);

/// As the system does it (`getaddrinfo`), at most 32 at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let name = name.to_owned();
        Box::pin(in_turn(move || {
            let found = (name.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        }))
    }
}

/// Has a thread look up, once there are few enough of them.
async fn in_turn<T: Send + 'static>(
    look_up: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let lookup = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        look_up()
    });
    lookup.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;

    /// A system that does not answer until it is told to, and how many ask it.
    #[derive(Default)]
    struct Slow {
        asking: AtomicUsize,
        most: AtomicUsize,
        answers: AtomicUsize,
    }

    impl Slow {
        fn ask(&self, answer: &std::sync::Mutex<mpsc::Receiver<()>>) {
            let asking = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(asking, Ordering::SeqCst);
            // Closed is an answer to all.
            let _ = answer.lock().unwrap().recv();
            self.asking.fetch_sub(1, Ordering::SeqCst);
            self.answers.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn no_more_than_so_many_names_are_looked_up_at_once() {
        const ALL: usize = 4 * MOST_AT_ONCE;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let slow = Arc::new(Slow::default());
        let (answer, answered) = mpsc::channel();
        let answered = Arc::new(std::sync::Mutex::new(answered));
        runtime.block_on(async {
            let ask = |waiting: &mut JoinSet<_>| {
                let (slow, answered) = (slow.clone(), answered.clone());
                waiting.spawn(in_turn(move || {
                    slow.ask(&answered);
                    Ok(())
                }));
            };
            let reached = async |many: usize| {
                while slow.asking.load(Ordering::SeqCst) < many {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Time for one more than may be.
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            let mut waiting = JoinSet::new();
            (0..ALL).for_each(|_| ask(&mut waiting));
            reached(MOST_AT_ONCE).await;
            // Whoever waited is gone, and what was asked is asked still.
            waiting.shutdown().await;
            let mut waiting = JoinSet::new();
            (0..ALL).for_each(|_| ask(&mut waiting));
            reached(MOST_AT_ONCE).await;
            assert_eq!(slow.most.load(Ordering::SeqCst), MOST_AT_ONCE);
            drop(answer);
            assert!(waiting.join_all().await.iter().all(Result::is_ok));
        });
        // Waits for those that nobody waits for.
        drop(runtime);
        assert_eq!(slow.answers.load(Ordering::SeqCst), MOST_AT_ONCE + ALL);
        assert_eq!(slow.most.load(Ordering::SeqCst), MOST_AT_ONCE);
    }
}
