//! Secrets: sent where they belong, and seen nowhere else.

use std::thread;
use std::time::Duration;

use inorder::{EnvGrant, HostBuilder, PluginSpec, SecretConfig, SecretSource};
use serde_json::{Value, json};

use super::server::{Server, Then, answer, hex, ok};
use super::{AUTHORITY, Names, builder, get, message, options, spec};
use crate::support::{built_guest, calc, call, grants, inorder as binary, report, scratch};

const SECRET: &str = "lin_api_0123456789abcdef";

fn secret(host: &str) -> SecretConfig {
    let source = SecretSource::Value(SECRET.to_owned());
    SecretConfig::new(host, "Authorization", "Bearer ", source).unwrap()
}

/// The guest, with the secret `linear` for a host.
fn with_secret(
    net: &[&str],
    host: &str,
    names: &Names,
) -> Option<(tempfile::TempDir, HostBuilder)> {
    let mut spec = spec(net)?;
    spec.grants.secrets = vec!["linear".to_owned()];
    let (dir, builder) = builder(names);
    Some((dir, builder.plugin(spec).secret("linear", secret(host))))
}

/// Nothing that a user, a model or a log is shown has the secret in it.
fn assert_hidden(shown: &Value) {
    let text = shown.to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains(&SECRET[4..20]), "{text}");
}

#[test]
fn a_secret_goes_to_its_host_and_what_the_server_echoes_of_it_is_taken_out() {
    let server = Server::https(&AUTHORITY, &["api.test"], |asked, out| {
        let sent = asked.header("authorization").unwrap_or("none").to_owned();
        match asked.path.as_str() {
            "/whole" => {
                let headers = format!("x-echo: {sent}\r\n{SECRET}: x\r\n");
                answer(out, "200 OK", &headers, &format!("<{sent}>"))
            }
            "/trailer" => {
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-echo\r\n\r\n"
                )?;
                write!(out, "1\r\nx\r\n0\r\nx-echo: {sent}\r\n\r\n")?;
                Ok(Then::Keep)
            }
            _ => {
                // Byte by byte, each a chunk of its own.
                write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for byte in format!("<{sent}><{sent}").bytes() {
                    out.write_all(b"1\r\n")?;
                    out.write_all(&[byte])?;
                    out.write_all(b"\r\n")?;
                    out.flush()?;
                    thread::sleep(Duration::from_millis(1));
                }
                out.write_all(b"0\r\n\r\n")?;
                Ok(Then::Keep)
            }
        }
    });
    let (at, here) = (format!("api.test:{}", server.port), format!("127.0.0.1:{}", server.port));
    let made = with_secret(&[&at, &here], &at, &Names::here(&["api.test"]));
    let Some((_dir, builder)) = made else { return };
    let host = builder.build().unwrap();
    assert_eq!(host.requests("http").1, ["linear"]);
    for (path, body) in [
        ("whole", "<Bearer [secret linear]>"),
        ("pieces", "<Bearer [secret linear]><Bearer [secret linear]"),
        ("trailer", "x"),
    ] {
        let result = call(&host, "request", get(&format!("https://{at}/{path}")));
        assert_eq!(result["value"]["body"], body, "{result}");
        assert_hidden(&result);
        if path == "whole" {
            let echo = json!(["x-echo", "Bearer [secret linear]"]);
            let headers = result["value"]["headers"].as_array().unwrap();
            assert!(headers.contains(&echo), "{result}");
            // It would tell how long the secret is, and is not that of what is left.
            assert!(headers.iter().all(|header| header[0] != "content-length"), "{result}");
        }
    }
    // A header of the guest's own gives way, and what would hide the secret from the host is not asked for.
    let headers =
        json!([["authorization", "mine"], ["accept-encoding", "gzip"], ["range", "bytes=0-3"]]);
    let args = json!({ "url": format!("https://{at}/whole"), "options": { "headers": headers } });
    assert_hidden(&call(&host, "request", args));
    let asked = server.asked();
    for asked in &asked {
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {SECRET}")));
        assert_eq!(
            (asked.header("accept-encoding"), asked.header("range")),
            (Some("identity"), None)
        );
    }
    assert_eq!(asked.len(), 4);
}

#[test]
fn a_secret_that_a_guest_was_told_anyhow_is_taken_out_of_what_it_says() {
    let server = Server::plain(|asked, out| {
        let before = if asked.path == "/late" { "x".repeat(1985) } else { String::new() };
        ok(out, &hex(&format!("{before}{}", asked.header("authorization").unwrap())))
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, builder)) = with_secret(&[&at], &at, &Names::default()) else { return };
    let host = builder.build().unwrap();
    // Nor is a part of it left by what cuts long messages.
    let late = call(&host, "reveal_and_fail", json!({ "url": format!("http://{at}/late") }));
    assert!(message(&late).ends_with("xBearer [secret .."), "{late}");
    assert_hidden(&late);
    let args = json!({ "url": format!("http://{at}/") });
    let result = call(&host, "reveal", args.clone());
    for shown in ["value", "stdout", "stderr"] {
        assert_eq!(result[shown], "Bearer [secret linear]", "{result}");
    }
    let result = call(&host, "reveal_and_fail", args);
    assert_eq!(result["error"]["value"], "Bearer [secret linear]", "{result}");
    assert_hidden(&result);
}

#[test]
fn a_secret_goes_nowhere_else() {
    let handler = |asked: &super::server::Asked, out: &mut dyn super::server::Out| {
        ok(out, asked.header("authorization").unwrap_or("none"))
    };
    let (plain, tls) =
        (Server::plain(handler), Server::https(&AUTHORITY, &["other.test"], handler));
    let names = Names::here(&["api.test", "other.test"]);
    let plain_at = format!("api.test:{}", plain.port);
    let here: Vec<String> =
        [plain.port, tls.port].iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let net = [&*here[0], &*here[1], "*.test:*"];
    let Some((_dir, builder)) = with_secret(&net, &plain_at, &names) else { return };
    let host = builder.build().unwrap();
    // To another host, and to another name of the same one.
    let result = call(&host, "request", get(&format!("https://other.test:{}/", tls.port)));
    assert_eq!(result["value"]["body"], "none", "{result}");
    let result = call(&host, "request", get(&format!("http://127.0.0.1:{}/", plain.port)));
    assert_eq!(result["value"]["body"], "none", "{result}");
    // For all to read.
    let result = call(&host, "request", get(&format!("http://{plain_at}/")));
    assert_eq!(result["error"]["kind"], "denied", "{result}");
    assert!(message(&result).contains("use https"), "{result}");
    assert_eq!(plain.asked().len(), 1);
}

#[test]
fn a_plugin_that_does_not_list_a_secret_sends_none() {
    let server =
        Server::plain(|asked, out| ok(out, asked.header("authorization").unwrap_or("none")));
    let at = format!("localhost:{}", server.port);
    let Some(spec) = spec(&[&at]) else { return };
    let (_dir, builder) = builder(&Names::default());
    let host = builder.plugin(spec).secret("linear", secret(&at)).build().unwrap();
    let result = call(&host, "request", get(&format!("http://{at}/")));
    assert_eq!(result["value"]["body"], "none", "{result}");
}

#[test]
fn an_answer_that_cannot_be_looked_through_is_refused() {
    let server = Server::plain(|_, out| {
        let codings = "content-encoding: identity\r\ncontent-encoding: gzip\r\n";
        answer(out, "200 OK", codings, "?")
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, builder)) = with_secret(&[&at], &at, &Names::default()) else { return };
    let host = builder.build().unwrap();
    let result = call(&host, "request", get(&format!("http://{at}/")));
    assert!(message(&result).contains("HttpResponseContentCoding"), "{result}");
}

#[test]
fn a_secret_comes_from_a_file_that_no_plugin_may_read() {
    let server = Server::plain(|asked, out| {
        ok(out, if asked.header("x-key") == Some(SECRET) { "right" } else { "wrong" })
    });
    let at = format!("localhost:{}", server.port);
    let Some(mut spec) = spec(&[&at]) else { return };
    spec.grants.secrets = vec!["key".to_owned()];
    let (dir, _) = scratch(&[("data/a.txt", ""), ("key", &format!("{SECRET}\n"))]);
    let build = |read: &[&str]| {
        let source = SecretSource::File(dir.path().join("key"));
        let key = SecretConfig::new(&at, "X-Key", "", source).unwrap();
        let mut spec: PluginSpec = spec.clone();
        spec.grants.read = grants(read, &[]).read;
        let cache = crate::support::repository().join("target/test-cache/plugins");
        let builder = inorder::Host::builder().root(dir.path()).cache(cache);
        builder.net(options(&Names::default())).plugin(spec).secret("key", key).build()
    };
    let host = build(&["data/**"]).unwrap();
    let result = call(&host, "request", get(&format!("http://{at}/")));
    assert_eq!(result["value"]["body"], "right", "{result}");
    let error = build(&["**"]).err().unwrap().to_string();
    assert!(error.contains("may read") && error.contains("key"), "{error}");
}

#[test]
fn a_secret_that_could_not_be_kept_or_used_is_an_error() {
    let build = |net: &str, host: &str, source: SecretSource, env: &str| {
        let mut spec = calc();
        spec.grants.net = vec![inorder::NetGrant::parse(net).unwrap()];
        spec.grants.secrets = vec!["linear".to_owned()];
        spec.grants.env = vec![EnvGrant::parse(env).unwrap()];
        let secret = SecretConfig::new(host, "authorization", "", source).unwrap();
        let built = inorder::Host::builder().plugin(spec).secret("linear", secret).build();
        built.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let value = |text: &str| SecretSource::Value(text.to_owned());
    let unset = || SecretSource::Env("INORDER_TEST_NO_SUCH_VARIABLE".to_owned());
    for (said, expected) in [
        (build("api.test", "api.test", value(SECRET), "A"), ""),
        (build("*.test", "api.test", value(SECRET), "A"), ""),
        (build("other.test", "api.test", value(SECRET), "A"), "may not send requests to api.test"),
        (
            build("api.test", "api.test:8443", value(SECRET), "A"),
            "may not send requests to api.test:8443",
        ),
        (build("api.test", "api.test", value("short"), "A"), "shorter than 8"),
        (build("api.test", "api.test", value("a\nb: c and more"), "A"), "visible ASCII"),
        (build("api.test", "api.test", unset(), "A"), ""),
        (
            build("api.test", "api.test", unset(), "INORDER_TEST_NO_SUCH_VARIABLE"),
            "is granted the variable",
        ),
        (build("api.test", "api.test", SecretSource::File("/no/such/file".into()), "A"), ""),
    ] {
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{said:?} {expected:?}"
        );
    }
    let twice = {
        let mut spec = calc();
        spec.grants.net = vec![inorder::NetGrant::parse("api.test").unwrap()];
        spec.grants.secrets = vec!["one".to_owned(), "two".to_owned()];
        let builder = inorder::Host::builder().plugin(spec);
        builder.secret("one", secret("api.test")).secret("two", secret("api.test")).build()
    };
    assert!(twice.err().unwrap().to_string().contains("the same header of the same host"));
    // Where the variables of the host are.
    let mut spec = calc();
    spec.grants.net = vec![inorder::NetGrant::parse("api.test").unwrap()];
    spec.grants.secrets = vec!["linear".to_owned()];
    spec.grants.read = grants(&["**"], &[]).read;
    let from = SecretConfig::new("api.test", "authorization", "", SecretSource::Env("PATH".into()));
    let builder = inorder::Host::builder().root("/proc").plugin(spec);
    let error = builder.secret("linear", from.unwrap()).build().err().unwrap().to_string();
    assert!(error.contains("may read /proc/self/environ"), "{error}");
    let mut spec = calc();
    spec.grants.secrets = vec!["nothing".to_owned()];
    let error = inorder::Host::builder().plugin(spec).build().err().unwrap().to_string();
    assert!(error.contains("there is no secret of that name"), "{error}");
    assert!(!format!("{:?}", value(SECRET)).contains(SECRET));
}

#[test]
fn a_batch_with_secrets_shows_none_of_them() {
    let server = Server::plain(|asked, out| ok(out, asked.header("authorization").unwrap()));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, builder)) = with_secret(&[&at], &at, &Names::default()) else { return };
    let host = builder.build().unwrap();
    let one = json!({ "id": "one", "tool": "request", "args": get(&format!("http://{at}/")) });
    let two = json!({ "tool": "request", "args": {
        "url": { "$from": "one", "at": "/body" }, "options": {},
    }});
    let report = report(&host, &json!({ "calls": [one, two] }));
    assert_hidden(&report);
    assert_eq!(report["results"][0]["value"]["body"], "Bearer [secret linear]");
}

#[test]
fn a_config_names_secrets_by_variable_and_by_file_beside_it() {
    let Some(guest) = built_guest("http") else { return };
    let server = Server::plain(|asked, out| {
        let sent = |name| asked.header(name).unwrap_or("none");
        ok(out, &format!("{} {}", sent("authorization"), sent("x-key")))
    });
    let at = format!("localhost:{}", server.port);
    let (root, policy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = format!(
        r#"
        roots = [{:?}]
        [secrets]
        one = {{ host = "{at}", header = "Authorization", prefix = "Bearer ", from-env = "ONE_KEY" }}
        two = {{ host = "{at}", header = "X-Key", from-file = "two.key" }}
        [plugins.http]
        path = {guest:?}
        net = ["{at}"]
        secrets = ["one", "two"]
        [plugins.time]
        "#,
        root.path(),
    );
    std::fs::write(policy.path().join("inorder.toml"), config).unwrap();
    std::fs::write(policy.path().join("two.key"), "two_key_0123456789\n").unwrap();
    let log = policy.path().join("audit.jsonl");
    let mut command = binary();
    command.current_dir(root.path()).env("ONE_KEY", SECRET).env("RUST_LOG", "debug");
    command.args([
        "call",
        "request",
        &format!("url=http://{at}/"),
        "options={}",
        "--audit-arguments",
    ]);
    command.arg("--config").arg(policy.path().join("inorder.toml")).arg("--audit").arg(&log);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("Bearer [secret one] [secret two]"), "{said}");
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {SECRET}")));
    assert_eq!(asked.header("x-key"), Some("two_key_0123456789"));
    // Whoever looks what there is needs no keys; whoever sends a request without one is told which is missing.
    let without = |args: &[&str]| {
        let mut command = binary();
        command.current_dir(root.path()).args(args);
        let output =
            command.arg("--config").arg(policy.path().join("inorder.toml")).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (listed, told) = without(&["tools"]);
    assert!(listed && told.contains(&format!("may request {at}, with the secrets one")), "{told}");
    let url = format!("url=http://{at}/");
    let (ran, told) = without(&["call", "request", &url, "options={}", "--no-audit"]);
    let why = "the secret \"one\" goes with it, and cannot be had: the variable ONE_KEY is not set";
    assert!(!ran && told.contains("denied") && told.contains(why), "{told}");
    assert_eq!(server.asked().len(), 1);
    let (ran, _) = without(&["call", "get_current_time", "timezone=UTC", "--no-audit"]);
    assert!(ran, "what needs no secret runs without it");
    let shown = said + &std::fs::read_to_string(log).unwrap();
    assert!(!shown.contains(SECRET) && !shown.contains("two_key_0123456789"), "{shown}");
}
