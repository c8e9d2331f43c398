//! Requests of guests against real servers on loopback: what is granted works, everything else is refused.

mod attacks;
mod effects;
mod granted;
mod graphql;
mod keyring;
mod secrets;
pub mod server;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use inorder::{Host, HostBuilder, NetGrant, NetOptions, PluginSpec, Resolver};
use serde_json::{Value, json};

use crate::support::{guest, scratch};
use server::Authority;

/// Whom the hosts of these tests believe.
static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Names with their addresses: one answer after the other, the last one again and again.
#[derive(Clone, Debug, Default)]
struct Names(Arc<NamesInner>);

#[derive(Debug, Default)]
struct NamesInner {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(names: &[(&str, &[&[&str]])]) -> Names {
        let answer = |answer: &&[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
        let answers = names.iter().map(|(name, answers)| {
            ((*name).to_owned(), answers.iter().rev().map(answer).collect::<Vec<_>>())
        });
        let names = Names::default();
        *names.0.answers.lock().unwrap() = answers.collect();
        names
    }

    /// All these names are this machine.
    fn here(names: &[&str]) -> Names {
        let here: &[&[&str]] = &[&["127.0.0.1"]];
        Names::new(&names.iter().map(|name| (*name, here)).collect::<Vec<_>>())
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            self.0.asked.fetch_add(1, Ordering::SeqCst);
            let mut answers = self.0.answers.lock().unwrap();
            let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
            let last = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
            last.ok_or(io::ErrorKind::NotFound.into())
        })
    }
}

/// The guest with grants of hosts.
fn spec(net: &[&str]) -> Option<PluginSpec> {
    let mut spec = guest("http")?;
    spec.grants.net = net.iter().map(|it| NetGrant::parse(it).unwrap()).collect();
    Some(spec)
}

/// Options that look up `names` and believe the tests' authority alone.
fn options(names: &Names) -> NetOptions {
    NetOptions::default()
        .resolver(names.clone())
        .system_roots(false)
        .root_certificate(AUTHORITY.der())
}

/// A builder with an empty root that looks up `names`.
fn builder(names: &Names) -> (tempfile::TempDir, HostBuilder) {
    let (dir, builder) = scratch(&[]);
    (dir, builder.net(options(names)))
}

/// A host with the guest alone.
fn host(net: &[&str], names: &Names) -> Option<(tempfile::TempDir, Host)> {
    let spec = spec(net)?;
    let (dir, builder) = builder(names);
    Some((dir, builder.plugin(spec).build().unwrap()))
}

/// Arguments of `request`.
fn get(url: &str) -> Value {
    json!({ "url": url, "options": {} })
}

fn post(url: &str, body: &str) -> Value {
    json!({ "url": url, "options": { "method": "POST", "body": body } })
}

fn message(result: &Value) -> &str {
    result["error"]["message"].as_str().unwrap_or_default()
}
