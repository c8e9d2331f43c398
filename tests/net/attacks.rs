//! Ways around the grants, and servers that mean no good: each is refused, and bounded in time and size.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use inorder::{Batch, LimitsConfig, NetOptions, Resolver};
use serde_json::{Value, json};

use super::server::{Server, Then, answer, ok};
use super::{AUTHORITY, Names, builder, get, host, message, options, spec};
use crate::support::{block_on, built_guest, call, inorder, scratch};

/// Long enough for a busy machine, and far from what an attack would like to take.
const SOON: Duration = Duration::from_secs(15);

fn prohibited(result: &Value, address: &str, what: &str) {
    assert_eq!(result["error"]["kind"], "denied", "{result}");
    let expected = format!("is at {address}, which is {what}");
    assert!(message(result).contains(&expected), "{result}");
}

#[test]
fn a_granted_name_that_leads_to_this_machine_is_refused() {
    let server = Server::plain(|_, out| ok(out, ""));
    let names = Names::new(&[
        ("inner.test", &[&["127.0.0.1"]]),
        ("mixed.test", &[&["93.184.215.14", "127.0.0.1"]]),
        ("metadata.test", &[&["169.254.169.254"]]),
        ("six.test", &[&["fd00:ec2::254"]]),
    ]);
    let Some((_dir, host)) = host(&["*.test:*"], &names) else { return };
    for (name, address, what) in [
        ("inner.test", "127.0.0.1", "loopback"),
        ("mixed.test", "127.0.0.1", "loopback"),
        ("metadata.test", "169.254.169.254", "where a cloud keeps"),
        ("six.test", "fd00:ec2::254", "where a cloud keeps"),
    ] {
        let result = call(&host, "request", get(&format!("http://{name}:{}/", server.port)));
        prohibited(&result, address, what);
        assert!(message(&result).starts_with("ErrorCode::DestinationIpProhibited"), "{result}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_name_that_leads_elsewhere_when_it_is_looked_up_again_leads_nowhere() {
    let server = Server::plain(|_, out| {
        ok(out, "first")?;
        Ok(Then::Close)
    });
    let names = Names::new(&[("rebind.test", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let (at, here) = (format!("rebind.test:{}", server.port), format!("127.0.0.1:{}", server.port));
    let Some((_dir, host)) = host(&[&at, &here], &names) else { return };
    let url = format!("http://{at}/");
    // The address that was checked is the one that is connected to: the name is looked up once.
    let result = call(&host, "request", get(&url));
    assert_eq!((result["value"]["body"].as_str(), names.asked()), (Some("first"), 1), "{result}");
    let result = call(&host, "request", get(&url));
    prohibited(&result, "127.0.0.2", "loopback");
    assert_eq!((server.connections(), names.asked()), (1, 2));
}

#[test]
fn a_redirect_is_a_request_of_its_own() {
    let inner = Server::plain(|_, out| ok(out, "internal"));
    let port = inner.port;
    let server = Server::plain(move |asked, out| {
        let to = match asked.path.as_str() {
            "/address" => format!("http://127.0.0.1:{port}/"),
            "/name" => format!("http://inner.test:{port}/"),
            "/again" => "http://api.test/".to_owned(),
            _ => return ok(out, "arrived"),
        };
        let to = to.replace(
            "http://api.test/",
            &format!("http://{}/there", asked.header("host").unwrap()),
        );
        answer(out, "302 Found", &format!("location: {to}\r\n"), "")
    });
    let names = Names::here(&["api.test", "inner.test"]);
    let (at, here) = (format!("api.test:{}", server.port), format!("127.0.0.1:{}", server.port));
    let Some((_dir, host)) = host(&[&at, &here, "inner.test:*"], &names) else { return };
    let follow = |path: &str| json!({ "url": format!("http://{at}{path}"), "most": 3 });
    let result = call(&host, "follow", follow("/again"));
    assert_eq!(result["value"]["body"], "arrived", "{result}");
    let result = call(&host, "follow", follow("/address"));
    assert!(message(&result).contains(&format!("--allow-net '127.0.0.1:{port}'")), "{result}");
    let result = call(&host, "follow", follow("/name"));
    prohibited(&result, "127.0.0.1", "loopback");
    // What does not follow gets the redirect, and nothing else.
    let result = call(&host, "request", get(&format!("http://{at}/address")));
    assert_eq!(result["value"]["status"], 302, "{result}");
    assert_eq!(inner.connections(), 0);
}

#[test]
fn an_address_is_not_reached_by_another_way_to_write_it() {
    let server = Server::plain(|_, out| ok(out, ""));
    let port = server.port;
    // Granted is every name, and one address in one way to write it.
    let here = format!("127.0.0.1:{port}");
    let Some((_dir, host)) = host(&["*:*", &here], &Names::default()) else { return };
    let urls: Vec<String> = [
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "example.org@127.0.0.1",
        "127.0.0.1:80@example.org",
    ]
    .iter()
    .map(|address| format!("http://{address}:{port}/"))
    .collect();
    let result = call(&host, "try_all", json!({ "urls": urls }));
    let tried = result["value"].as_array().unwrap();
    assert_eq!(tried.len(), urls.len());
    for (url, became) in urls.iter().zip(tried) {
        let refused = ["DestinationIpProhibited", "HttpRequestDenied", "HttpRequestUriInvalid"];
        let refused = refused.iter().any(|it| became.as_str().unwrap().contains(it));
        assert!(refused, "{url}: {became}");
    }
    assert_eq!(server.connections(), 0);
    let result = call(&host, "request", get(&format!("http://[::ffff:127.0.0.1]:{port}/")));
    prohibited(&result, "::ffff:127.0.0.1", "an IPv4 address in IPv6");
    let result = call(&host, "request", get(&format!("http://{here}/")));
    assert_eq!(result["value"]["status"], 200, "{result}");
}

#[test]
fn nothing_is_slipped_into_the_head_of_a_request() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let headers = json!([
        ["x", "a\r\nhost: evil.test"],
        ["x", "a\nb"],
        ["x", "a\0b"],
        ["x\r\ny", "a"],
        ["x y", "a"],
        ["Host", "evil.test"],
        ["Connection", "close"],
        ["Transfer-Encoding", "chunked"],
        ["Proxy-Authorization", "Basic eA=="],
        ["Upgrade", "h2c"],
        ["x", "fine"],
    ]);
    let result = call(&host, "set_headers", json!({ "headers": headers }));
    let mut expected = vec!["HeaderError::InvalidSyntax"; 5];
    expected.extend(["HeaderError::Forbidden"; 5]);
    expected.push("taken");
    assert_eq!(result["value"], json!(expected), "{result}");
    let long = format!("{}.example.com", "long".repeat(300));
    for (path, authority, taken) in [
        ("/", &*long, [true, false]),
        (&*format!("/{}", "path".repeat(5000)), "a.test", [false, true]),
        ("/a HTTP/1.1\r\nhost: evil.test\r\n\r\n", "a.test\r\nx: y", [false, false]),
        ("http://evil.test/", "a.test/b", [false, false]),
        ("evil", "a.test b", [false, false]),
        ("/fine?x=y", "a.test:80", [true, true]),
    ] {
        let result = call(&host, "set_target", json!({ "path": path, "authority": authority }));
        assert_eq!(result["value"], json!(taken), "{path:?} {authority:?}: {result}");
    }
    // Two requests for the price of one: a length that is not the body's.
    let smuggled = json!({ "url": format!("http://{at}/"), "options": {
        "method": "POST", "headers": [["content-length", "3"]], "body": "abcGET /x HTTP/1.1\r\n\r\n",
    }});
    call(&host, "request", smuggled);
    assert!(server.asked().iter().all(|asked| asked.path == "/"), "{:?}", server.asked());
}

#[test]
fn methods_that_hand_over_more_than_an_answer_are_refused() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let args = json!({ "url": format!("http://{at}/"), "options": { "method": "M".repeat(300) } });
    assert!(message(&call(&host, "request", args)).contains("the method is refused"));
    for method in ["CONNECT", "TRACE"] {
        let args = json!({ "url": format!("http://{at}/"), "options": { "method": method } });
        let result = call(&host, "request", args);
        assert_eq!(result["error"]["kind"], "denied", "{result}");
        assert!(message(&result).contains(&format!("may not use {method}")), "{result}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_answer_of_a_gigabyte_ends_at_the_limit() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let server = Server::https(&AUTHORITY, &["localhost"], move |_, out| {
        let size = 1 << 30;
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")?;
        let piece = vec![b'x'; 1 << 18];
        for _ in 0..size / piece.len() {
            out.write_all(&piece)?;
            counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Ok(Then::Keep)
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let args = json!({ "url": format!("https://{at}/") });
    let result = call(&host, "size", args.clone());
    assert_eq!(result["error"]["kind"], "net", "{result}");
    assert!(message(&result).contains("`limits.net`, 64.0 MiB"), "{result}");
    assert!(sent.load(Ordering::SeqCst) < 128 << 20, "{sent:?}");
    // Lower, by the call itself.
    let call = json!({ "tool": "size", "args": args, "limits": { "net": "1MiB" } });
    let result = crate::support::report(&host, &json!({ "calls": [call] }));
    let result = &result["results"][0];
    assert!(message(result).contains("`limits.net`, 1.0 MiB"), "{result}");
}

#[test]
fn what_is_sent_counts_too() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some(mut spec) = spec(&[&at]) else { return };
    spec.limits = LimitsConfig { net: Some(100_000), ..LimitsConfig::default() };
    let (_dir, builder) = builder(&Names::default());
    let host = builder.plugin(spec).build().unwrap();
    let upload = |bytes: u32| json!({ "url": format!("http://{at}/"), "bytes": bytes });
    assert_eq!(call(&host, "upload", upload(100_000))["value"], 200);
    let result = call(&host, "upload", upload(100_001));
    assert!(message(&result).contains("`limits.net`, 97.7 KiB"), "{result}");
    assert!(message(&result).contains("HttpRequestBodySize"), "{result}");
}

#[test]
fn a_head_without_end_is_refused() {
    let server = Server::plain(|asked, out| {
        write!(out, "HTTP/1.1 200 OK\r\n")?;
        let header = if asked.path == "/many" { "x: y\r\n".to_owned() } else { "y".repeat(1000) };
        for _ in 0..1000 {
            write!(out, "{header}")?;
        }
        write!(out, "\r\n\r\n")?;
        Ok(Then::Keep)
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    for path in ["many", "large"] {
        let result = call(&host, "request", get(&format!("http://{at}/{path}")));
        assert_eq!(result["error"]["kind"], "tool", "{path}: {result}");
    }
}

#[test]
fn a_server_that_takes_forever_is_left() {
    let server = Server::plain(|asked, out| {
        let drip = |out: &mut dyn super::server::Out, text: &str| {
            for byte in text.bytes().cycle().take(5000) {
                out.write_all(&[byte])?;
                out.flush()?;
                thread::sleep(Duration::from_millis(5));
            }
            Ok(Then::Close)
        };
        match asked.path.as_str() {
            "/head" => {
                write!(out, "HTTP/1.1 200 OK\r\nx: ")?;
                drip(out, "y")
            }
            "/silent" => {
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx")?;
                out.flush()?;
                thread::sleep(Duration::from_secs(20));
                Ok(Then::Close)
            }
            _ => {
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")?;
                drip(out, "z")
            }
        }
    });
    let at = format!("localhost:{}", server.port);
    let Some(mut spec) = spec(&[&at]) else { return };
    spec.limits.timeout = Some(Duration::from_secs(2));
    let (_dir, builder) = scratch(&[]);
    let short = Duration::from_millis(300);
    let net = options(&Names::default()).first_byte_timeout(short).between_bytes_timeout(short);
    let host = builder.plugin(spec).net(net).build().unwrap();
    for (path, kind, says) in [
        ("head", "tool", "ConnectionReadTimeout"),
        ("silent", "tool", "timeout"),
        // It is never silent for long, so only the call's own time ends it.
        ("body", "timeout", "`limits.timeout`, 2s"),
    ] {
        let began = Instant::now();
        let result = call(&host, "request", get(&format!("http://{at}/{path}")));
        assert_eq!(result["error"]["kind"], kind, "{path}: {result}");
        assert!(message(&result).contains(says), "{path}: {result}");
        assert!(began.elapsed() < SOON, "{path}: {:?}", began.elapsed());
    }
}

#[test]
fn a_guest_may_wait_for_less_than_the_host_does_and_not_for_more() {
    let server = Server::plain(|_, out| {
        thread::sleep(Duration::from_secs(5));
        ok(out, "")
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let began = Instant::now();
    let args = json!({ "url": format!("http://{at}/"), "options": { "first_byte": 200 } });
    let result = call(&host, "request", args);
    assert!(message(&result).contains("ConnectionReadTimeout"), "{result}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn a_certificate_for_another_host_is_not_believed() {
    let server = Server::https(&AUTHORITY, &["other.test"], |_, out| ok(out, ""));
    let names = Names::here(&["api.test", "other.test"]);
    let here = format!("127.0.0.1:{}", server.port);
    let Some((_dir, host)) = host(&["*.test:*", &here], &names) else { return };
    let url = |name: &str| format!("https://{name}:{}/", server.port);
    let result = call(&host, "request", get(&url("api.test")));
    assert_eq!(message(&result), "ErrorCode::TlsCertificateError");
    let result = call(&host, "request", get(&url("127.0.0.1")));
    assert_eq!(message(&result), "ErrorCode::TlsCertificateError");
    assert!(server.asked().is_empty());
    let result = call(&host, "request", get(&url("other.test")));
    assert_eq!(result["value"]["status"], 200, "{result}");
}

#[test]
fn no_proxy_is_used_whoever_sets_one() {
    let Some(guest) = built_guest("http") else { return };
    let proxy = Server::plain(|_, out| ok(out, "by proxy"));
    let server = Server::https(&AUTHORITY, &["localhost"], |_, out| ok(out, "direct"));
    let at = format!("localhost:{}", server.port);
    let (dir, _) = scratch(&[]);
    let certificate = {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(AUTHORITY.der());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    std::fs::write(dir.path().join("roots.pem"), certificate).unwrap();
    let proxies =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let set: Vec<String> =
        proxies.iter().map(|name| format!("{name}=http://localhost:{}", proxy.port)).collect();
    let config = format!(
        "[plugins.http]\npath = {guest:?}\nnet = [\"{at}\"]\nenv = {}\n",
        serde_json::to_string(&set).unwrap()
    );
    // Beside the root, where no plugin may write.
    let config_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config_file.path(), config).unwrap();
    let mut command = inorder();
    command.current_dir(dir.path()).env("SSL_CERT_FILE", dir.path().join("roots.pem"));
    for name in proxies {
        command.env(name, format!("http://localhost:{}", proxy.port));
    }
    let url = format!("url=https://{at}/");
    command.args(["call", "request", &url, "options={}", "--json", "--no-audit", "--config"]);
    let output = command.arg(config_file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("direct"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((proxy.connections(), server.asked().len()), (0, 1));
}

/// A server of names that does not answer, and how often it was asked.
#[derive(Clone, Debug, Default)]
struct Silent(Arc<AtomicUsize>);

impl Resolver for Silent {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_plugin_that_has_many_names_looked_up_leaves_room_for_others() {
    let silent = Silent::default();
    let (Some(mut one), Some(mut other)) = (spec(&["*.test"]), spec(&["*.test"])) else { return };
    for (spec, name) in [(&mut one, "one"), (&mut other, "other")] {
        (spec.name, spec.prefix) = (name.to_owned(), format!("{name}_"));
    }
    let options =
        NetOptions::default().resolver(silent.clone()).connect_timeout(Duration::from_millis(200));
    let (_dir, builder) = scratch(&[]);
    let host = builder.net(options).plugin(one).plugin(other).build().unwrap();
    block_on(async {
        for (tool, asked) in [("one_many", 8), ("one_many", 8), ("other_many", 16)] {
            let args = json!({ "url": "http://slow.test/", "count": 30 });
            let batch = json!({ "calls": [{ "tool": tool, "args": args }] }).to_string();
            let report = host.run(Batch::from_json(batch.as_bytes()).unwrap()).await.unwrap();
            let error = report.results[0].result.as_ref().unwrap_err();
            assert!(error.message.contains("ConnectionTimeout"), "{error}");
            // Those that nobody waits for any more have not ended.
            assert_eq!(silent.0.load(Ordering::SeqCst), asked, "{tool}");
        }
    });
}

#[test]
fn heads_of_answers_count_as_memory_of_the_host() {
    let server = Server::plain(|_, out| {
        answer(out, "200 OK", &format!("x-long: {}\r\n", "x".repeat(50_000)), "")
    });
    let at = format!("localhost:{}", server.port);
    let Some(spec) = spec(&[&at]) else { return };
    let (_dir, builder) = builder(&Names::default());
    let host = builder.plugin(spec).max_memory(16 << 20).build().unwrap();
    let many =
        |count: u32| call(&host, "many", json!({ "url": format!("http://{at}/"), "count": count }));
    assert_eq!(many(30)["value"], 30);
    let result = many(300);
    assert!(message(&result).contains("no memory left for the head"), "{result}");
    assert_eq!(many(30)["value"], 30);
}
