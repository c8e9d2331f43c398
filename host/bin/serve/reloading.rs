//! Loads anew when the config or a plugin's file has changed, and hands over.
//!
//! What does not load changes nothing: the tools stay as they were, and that is said, until it is mended.

use anyhow::Context as _;
use inorder::{Host, HostBuilder};

use super::difference::Difference;
use super::server::Server;
use crate::print;
use crate::standard;
use crate::watch::{Files, Watch};

/// Reads the flags, the config and whatever else says what is loaded.
pub type Load = std::sync::Arc<dyn Fn() -> anyhow::Result<HostBuilder> + Send + Sync>;

/// Goes on for as long as it is asked.
pub async fn run(server: &Server, mut watch: Watch<Files>, load: Load) {
    let mut broken = false;
    loop {
        watch.changed().await;
        match reload(server, &mut watch, &load).await {
            Ok(difference) => {
                print::say(print::dim(format!("what has changed is loaded; {difference}")));
                broken = false;
            }
            Err(error) => {
                let again = if broken { "still " } else { "" };
                tracing::warn!(
                    "what has changed {again}cannot be loaded, and the tools are as they were: {error:#}"
                );
                broken = true;
            }
        }
    }
}

async fn reload(
    server: &Server,
    watch: &mut Watch<Files>,
    load: &Load,
) -> anyhow::Result<Difference> {
    let load = load.clone();
    let builder = beside(move || load()).await?;
    watch.set(builder.files());
    let host = server.host();
    // Until then calls go on, and new ones are taken, on what there is.
    let host: Host = beside(move || host.reload(builder).map_err(standard::explain)).await?;
    server.replace(host)
}

/// Runs what blocks where it keeps no call waiting.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("loading has failed")?
}
