//! What is granted works: by HTTPS, by name, on warm connections; and what is not is said in words that help.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use inorder::{AuditRecord, AuditSink};
use serde_json::{Value, json};

use super::server::{Server, Then, answer, ok};
use super::{AUTHORITY, Names, builder, get, host, message, post, spec};
use crate::support::{built_guest, call, inorder, report, scratch};

#[test]
fn a_granted_host_is_requested_by_https() {
    let server = Server::https(&AUTHORITY, &["api.test"], |asked, out| {
        answer(out, "201 Created", "x-seen: yes\r\n", &asked.path)
    });
    let (at, here) = (format!("api.test:{}", server.port), format!("127.0.0.1:{}", server.port));
    let Some((_dir, host)) = host(&[&at, &here], &Names::here(&["api.test"])) else { return };
    let result = call(&host, "request", get(&format!("https://{at}/a/b?c=d")));
    assert_eq!(result["value"]["status"], 201, "{result}");
    assert_eq!(result["value"]["body"], "/a/b?c=d");
    let headers = result["value"]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-seen", "yes"])), "{headers:?}");
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].header("host")), (1, Some(&*at)));
}

#[test]
fn bodies_go_both_ways() {
    let server = Server::plain(|asked, out| ok(out, &asked.body));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let body = "x".repeat(300_000);
    let result = call(&host, "request", post(&format!("http://{at}/"), &body));
    assert_eq!(result["value"]["body"], body.as_str());
    let result = call(&host, "upload", json!({ "url": format!("http://{at}/"), "bytes": 1 << 20 }));
    assert_eq!(result["value"], 200, "{result}");
    assert_eq!(server.asked()[1].body.len(), 1 << 20);
}

#[test]
fn a_host_that_is_not_granted_is_refused_before_its_name_is_looked_up() {
    let server = Server::plain(|_, out| ok(out, ""));
    let names = Names::here(&["api.test", "other.test"]);
    let (at, here) = (format!("api.test:{}", server.port), format!("127.0.0.1:{}", server.port));
    let Some((_dir, host)) = host(&[&at, &here], &names) else { return };
    for (url, origin, grant) in [
        ("https://other.test/x", "https://other.test", "other.test"),
        ("http://api.test/", "http://api.test", "api.test"),
        ("https://api.test:8443/", "https://api.test:8443", "api.test:8443"),
        ("http://127.0.0.2:99/", "http://127.0.0.2:99", "127.0.0.2:99"),
    ] {
        let result = call(&host, "request", get(url));
        assert_eq!(result["error"]["kind"], "denied", "{result}");
        let expected = format!(
            "ErrorCode::HttpRequestDenied; requesting {origin} is not granted: `net = [\"{grant}\"]` under \
             [plugins.http] in the config, or --allow-net '{grant}', would allow it"
        );
        assert_eq!(message(&result), expected);
    }
    assert_eq!((names.asked(), server.connections()), (0, 0));
    // A guest that knows what to do without is as good as its word.
    let result = call(&host, "try_all", json!({ "urls": ["https://other.test/"] }));
    assert_eq!(result["status"], "ok", "{result}");
}

#[test]
fn a_plugin_that_asks_for_requests_and_is_granted_none_loads_and_is_refused() {
    let Some((_dir, host)) = host(&[], &Names::default()) else { return };
    let result = call(&host, "request", get("https://example.org/"));
    assert_eq!(result["error"]["kind"], "denied", "{result}");
    assert!(message(&result).contains("--allow-net 'example.org'"), "{result}");
    assert_eq!(host.requests("http"), (vec![], vec![]));
}

#[test]
fn a_connection_is_kept_for_later_calls_and_replaced_when_the_server_closes_it() {
    let server = Server::https(&AUTHORITY, &["localhost"], |asked, out| {
        ok(out, "here")?;
        Ok(if asked.path == "/last" { Then::Close } else { Then::Keep })
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let url = |path: &str| get(&format!("https://{at}{path}"));
    let calls: Vec<Value> = ["/1", "/2", "/last", "/4", "/5"]
        .iter()
        .enumerate()
        .map(|(n, path)| {
            let after = if n == 0 { json!([]) } else { json!([n.to_string()]) };
            json!({ "id": (n + 1).to_string(), "tool": "request", "args": url(path), "after": after })
        })
        .collect();
    let report = report(&host, &json!({ "calls": calls }));
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["value"]["body"], "here", "{result}");
    }
    assert_eq!((server.asked().len(), server.connections()), (5, 2));
}

#[test]
fn reads_of_a_batch_run_at_once() {
    let (here, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::plain(move |_, out| {
        seen.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Until both are here, or for as long as is certainly too long.
        for _ in 0..500 {
            if seen.load(Ordering::SeqCst) > 1 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        here.fetch_sub(1, Ordering::SeqCst);
        ok(out, "")
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let one = json!({ "tool": "request", "args": get(&format!("http://{at}/")) });
    report(&host, &json!({ "calls": [one, one] }));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_call_may_have_many_requests_under_way() {
    let (here, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::plain(move |_, out| {
        seen.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        here.fetch_sub(1, Ordering::SeqCst);
        ok(out, "x")
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let args = json!({ "url": format!("http://{at}/"), "count": 80 });
    let result = call(&host, "many", args);
    assert_eq!(result["value"], 80, "{result}");
    let most = most.load(Ordering::SeqCst);
    assert!((2..=32).contains(&most), "{most} at once");
}

#[derive(Clone, Debug, Default)]
struct Records(Arc<Mutex<Vec<Value>>>);

impl AuditSink for Records {
    fn record(&self, record: &AuditRecord) {
        self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
    }
}

#[test]
fn the_audit_log_tells_what_was_requested_and_what_was_refused() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some(spec) = spec(&[&at]) else { return };
    let records = Records::default();
    let (_dir, builder) = builder(&Names::default());
    let host = builder.plugin(spec).audit(records.clone()).build().unwrap();
    let url = format!("http://{at}/secret-path");
    call(&host, "request", post(&url, ""));
    call(&host, "try_all", json!({ "urls": [url, url, "https://other.test/x"] }));
    call(&host, "set_headers", json!({ "headers": [] }));
    let records = records.0.lock().unwrap();
    let origin = format!("http://{at}");
    assert_eq!(records[0]["requested"], json!([{ "method": "POST", "origin": origin }]));
    assert_eq!(records[1]["requested"], json!([{ "method": "GET", "origin": origin }]));
    let denied = json!([{ "method": "GET", "origin": "https://other.test", "by": "policy" }]);
    assert_eq!(records[1]["denied_requests"], denied);
    assert_eq!((records[2].get("requested"), records[0].get("denied_requests")), (None, None));
}

#[test]
fn the_command_line_grants_hosts_and_shows_what_is_granted() {
    let Some(guest) = built_guest("http") else { return };
    let server = Server::plain(|_, out| ok(out, "hello"));
    let at = format!("localhost:{}", server.port);
    let (dir, _) = scratch(&[]);
    let run = |args: &[&str]| {
        let mut command = inorder();
        command.current_dir(dir.path()).args(args).arg("--plugin").arg(&guest);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let url = format!("url=http://{at}/");
    let said =
        run(&["call", "request", &url, "options={}", "--json", "--no-audit", "--allow-net", &at]);
    assert!(said.contains("hello"), "{said}");
    let said = run(&["call", "request", &url, "options={}", "--no-audit"]);
    assert!(said.contains(&format!("--allow-net '{at}'")), "{said}");
    let said = run(&["tools", "--allow-net", &at]);
    assert!(said.contains(&format!("may request {at}")), "{said}");
    let said = run(&["tools", "--json", "--allow-net", "*.example.org:8443"]);
    assert!(said.contains("\"*.example.org:8443\""), "{said}");
    let said = run(&["tools", "--allow-net", "https://example.org"]);
    assert!(said.contains("it is a URL"), "{said}");
}

#[test]
fn a_server_may_be_believed_by_an_authority_of_ones_own_alone() {
    let server = Server::https(&AUTHORITY, &["localhost"], |_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some(spec) = spec(&[&at]) else { return };
    let (_dir, builder) = scratch(&[]);
    let other = super::server::Authority::new();
    let only_other =
        inorder::NetOptions::default().system_roots(false).root_certificate(other.der());
    let host = builder.plugin(spec).net(only_other).build().unwrap();
    let result = call(&host, "request", get(&format!("https://{at}/")));
    assert!(message(&result).contains("TlsCertificateError"), "{result}");
    assert!(server.asked().is_empty());
}
