//! The standard fetch tool through the host, against servers on loopback with pages made here. What it makes of HTML, and of robots.txt,
//! is compared with the reference server in `plugins/fetch/tests`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use inorder::{EnvGrant, Grants, Host, NetGrant, PluginSpec};
use serde_json::{Value, json};

use crate::net::server::{Asked, Out, Server, Then, answer, ok};
use crate::support::{call, inorder, matches, report, repository, scratch};

const PAGE: &str = "<!doctype html><html><head><title>River</title><script>no()</script></head><body>\
    <nav><ul><li><a href='/'>Home</a></li></ul></nav><article><h1>River</h1><p>A river is <b>water</b> that\n\
    <a href='/sea'>goes to the sea</a>.</p><pre>so it\n  does</pre></article></body></html>";

/// A host with the tool alone, which may reach a server on loopback, and the server's address.
fn host(server: &Server, env: &[&str]) -> (tempfile::TempDir, Host, String) {
    let at = format!("127.0.0.1:{}", server.port);
    let mut grants = Grants { net: vec![NetGrant::parse(&at).unwrap()], ..Grants::default() };
    grants.env = env.iter().map(|it| EnvGrant::parse(it).unwrap()).collect();
    let component = repository().join("plugins/dist/fetch.wasm");
    let (dir, builder) = scratch(&[]);
    let host = builder.plugin(PluginSpec::file(component, grants)).build().unwrap();
    (dir, host, format!("http://{at}"))
}

/// A server without a robots.txt.
fn serving(
    handler: impl Fn(&Asked, &mut dyn Out) -> std::io::Result<Then> + Send + Sync + 'static,
) -> Server {
    Server::plain(move |asked, out| match &*asked.path {
        "/robots.txt" => answer(out, "404 Not Found", "", ""),
        _ => handler(asked, out),
    })
}

fn page(out: &mut dyn Out, content_type: &str, body: &[u8]) -> std::io::Result<Then> {
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )?;
    out.write_all(body)?;
    Ok(Then::Keep)
}

fn message(result: &Value) -> &str {
    result["error"]["message"].as_str().unwrap_or_default()
}

#[test]
fn a_page_is_given_as_markdown_and_raw_as_it_is() {
    let server = serving(|_, out| page(out, "text/html; charset=utf-8", PAGE.as_bytes()));
    let (_dir, host, at) = host(&server, &[]);
    let result = call(&host, "fetch", json!({ "url": at }));
    let expected = "Contents of AT/:\nA river is **water** that\n[goes to the sea](/sea).\n\n```\nso it\n  does\n```";
    assert_eq!(result["value"], expected.replace("AT", &at));
    let result = call(&host, "fetch", json!({ "url": format!("{at}/#top"), "raw": true }));
    let expected = format!(
        "Content type text/html; charset=utf-8 cannot be simplified to markdown, but here is the raw content:\n\
         Contents of {at}/#top:\n{PAGE}"
    );
    assert_eq!(result["value"], expected);
    let asked = server.asked();
    assert_eq!(
        asked.iter().map(|it| &*it.path).collect::<Vec<_>>(),
        ["/robots.txt", "/", "/robots.txt", "/"]
    );
    for asked in asked {
        assert!(asked.header("user-agent").unwrap().starts_with("inorder-fetch/"), "{asked:?}");
        assert_eq!((&*asked.method, asked.header("accept-encoding")), ("GET", Some("identity")));
    }
}

#[test]
fn what_is_no_html_is_given_as_it_is_and_what_is_no_text_is_refused() {
    let server = serving(|asked, out| match &*asked.path {
        "/json" => page(out, "application/json", b"{\"a\": 1}"),
        "/latin" => page(out, "text/plain; charset=iso-8859-1", b"caf\xe9"),
        "/image" => page(out, "image/png", b"\x89PNG\r\n\x1a\n"),
        "/bytes" => page(out, "application/octet-stream", &[0; 100_000]),
        "/gzip" => answer(out, "200 OK", "content-encoding: gzip\r\n", "x"),
        "/empty" => page(out, "text/html", b""),
        _ => answer(out, "503 Service Unavailable", "", ""),
    });
    let (_dir, host, at) = host(&server, &[]);
    for (path, expected) in [
        (
            "json",
            json!({"value": "Content type application/json cannot be simplified to markdown, but here is the raw content:\n\
                                  Contents of AT/json:\n{\"a\": 1}"}),
        ),
        (
            "latin",
            json!({"value": "Content type text/plain; charset=iso-8859-1 cannot be simplified to markdown, but here is the raw \
                                   content:\nContents of AT/latin:\ncaf\u{e9}"}),
        ),
        (
            "image",
            json!({"error": {"kind": "tool", "message": "Failed to fetch AT/image: it is not text but image/png"}}),
        ),
        (
            "bytes",
            json!({"error": {"message": "Failed to fetch AT/bytes: it is not text but application/octet-stream"}}),
        ),
        (
            "gzip",
            json!({"error": {"message": "Failed to fetch AT/gzip: it is compressed (gzip), which was not asked for"}}),
        ),
        (
            "empty",
            json!({"value": "Contents of AT/empty:\n<error>Page failed to be simplified from HTML</error>"}),
        ),
        (
            "gone",
            json!({"error": {"kind": "tool", "message": "Failed to fetch AT/gone - status code 503"}}),
        ),
    ] {
        let result = call(&host, "fetch", json!({ "url": format!("{at}/{path}") }));
        let expected: Value =
            serde_json::from_str(&expected.to_string().replace("AT", &at)).unwrap();
        assert!(matches(&result, &expected), "{result}");
    }
}

#[test]
fn a_long_page_comes_in_parts_of_characters() {
    let text: String = (0..600).map(|n| char::from_u32(0x4e00 + n % 500).unwrap()).collect();
    let body = text.clone();
    let server = serving(move |_, out| page(out, "text/plain", body.as_bytes()));
    let (_dir, host, at) = host(&server, &[]);
    let mut whole = String::new();
    let mut start = 0;
    loop {
        let result =
            call(&host, "fetch", json!({ "url": at, "max_length": 250, "start_index": start }));
        let value = result["value"].as_str().unwrap();
        let part = value.split_once(&format!("Contents of {at}/:\n")).unwrap().1;
        let Some((part, more)) = part.split_once("\n\n<error>") else {
            whole += part;
            break;
        };
        whole += part;
        start += 250;
        let expected = format!(
            "Content truncated. Call the fetch tool with a start_index of {start} to get more content.</error>"
        );
        assert_eq!(more, expected);
    }
    assert_eq!(whole, text);
    let result = call(&host, "fetch", json!({ "url": at, "start_index": 600 }));
    assert!(
        result["value"].as_str().unwrap().ends_with(":\n<error>No more content available.</error>")
    );
    for most in [0, 1_000_000] {
        let result = call(&host, "fetch", json!({ "url": at, "max_length": most }));
        assert_eq!(message(&result), "max_length must be at least 1 and at most 999999");
    }
}

#[test]
fn a_page_without_end_is_read_to_a_bound() {
    let server = serving(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n")?;
        for _ in 0..4096 {
            out.write_all(&[b'x'; 64 << 10])?;
        }
        Ok(Then::Close)
    });
    let (_dir, host, at) = host(&server, &[]);
    let result = call(&host, "fetch", json!({ "url": at, "start_index": (8 << 20) - 2 }));
    let value = result["value"].as_str().unwrap_or_default();
    assert!(
        value.ends_with(":\nxx\n\n<error>Only the first 8 MiB of this page were read.</error>"),
        "{result}"
    );
}

#[test]
fn a_site_s_robots_txt_is_followed() {
    let server = Server::plain(|asked, out| match &*asked.path {
        "/robots.txt" => ok(
            out,
            "# why\nUser-agent: *\nDisallow: /private\n\nUser-agent: ModelContextProtocol\nDisallow: /model",
        ),
        "/out" => answer(out, "302 Found", "location: /model/x\r\n", ""),
        _ => page(out, "text/plain", b"here"),
    });
    let (_dir, asking, at) = host(&server, &[]);
    for (path, fetched) in [("/private", true), ("/model", false), ("/out", false)] {
        let result = call(&asking, "fetch", json!({ "url": format!("{at}{path}") }));
        assert_eq!(result["status"] == "ok", fetched, "{result}");
        let says = message(&result);
        let expected =
            format!("The sites robots.txt ({at}/robots.txt), specifies that autonomous fetching");
        assert!(
            fetched || (says.starts_with(&expected) && says.contains("Disallow: /model")),
            "{says}"
        );
    }
    let (_dir, named, _) = host(&server, &["FETCH_USER_AGENT=Other/1.0"]);
    // The rules for tools of this kind hold for all of them.
    let result = call(&named, "fetch", json!({ "url": format!("{at}/model") }));
    assert!(message(&result).contains("<useragent>Other/1.0</useragent>"), "{result}");
    let (_dir, ignoring, _) = host(&server, &["FETCH_IGNORE_ROBOTS_TXT=1"]);
    let result = call(&ignoring, "fetch", json!({ "url": format!("{at}/model") }));
    assert_eq!(result["status"], "ok", "{result}");
}

#[test]
fn without_a_robots_txt_all_may_be_fetched_unless_the_server_says_no() {
    for (status, fetched) in
        [(401, false), (403, false), (404, true), (410, true), (429, true), (500, false)]
    {
        let server = Server::plain(move |asked, out| match &*asked.path {
            "/robots.txt" => answer(out, &format!("{status} x"), "", "User-agent: *\nDisallow: /"),
            _ => page(out, "text/plain", b"here"),
        });
        let (_dir, host, at) = host(&server, &[]);
        let result = call(&host, "fetch", json!({ "url": at }));
        assert_eq!(result["status"] == "ok", fetched, "{status}: {result}");
        assert!(
            fetched || message(&result).contains(&format!("received status {status} so assuming")),
            "{result}"
        );
    }
}

#[test]
fn redirects_are_followed_and_each_is_checked_by_the_host() {
    let server = serving(|asked, out| match &*asked.path {
        "/a" => answer(out, "301 Moved Permanently", "location: b/c?d\r\n", ""),
        "/loop" => answer(out, "302 Found", "location: /loop\r\n", ""),
        "/file" => answer(out, "302 Found", "location: file:///etc/passwd\r\n", ""),
        "/user" => answer(out, "302 Found", "location: http://me:pw@127.0.0.1/\r\n", ""),
        "/inside" => answer(out, "302 Found", "location: http://169.254.169.254/x\r\n", ""),
        path => page(out, "text/plain", path.as_bytes()),
    });
    let (_dir, host, at) = host(&server, &[]);
    let result = call(&host, "fetch", json!({ "url": format!("{at}/a") }));
    let value = result["value"].as_str().unwrap_or_default();
    assert!(value.ends_with(&format!("Contents of {at}/a:\n/b/c?d")), "{result}");
    for (path, says) in [
        ("loop", "more than 20 redirects"),
        ("file", "only http and https can be fetched, not file"),
        ("user", "it has a user name or password in it"),
    ] {
        let result = call(&host, "fetch", json!({ "url": format!("{at}/{path}") }));
        assert!(result["error"]["kind"] == "tool" && message(&result).contains(says), "{result}");
    }
    let result = call(&host, "fetch", json!({ "url": format!("{at}/inside") }));
    assert_eq!(result["error"]["kind"], "denied", "{result}");
    assert!(
        message(&result).contains("or --allow-net '169.254.169.254', would allow it"),
        "{result}"
    );
    assert_eq!(server.asked().iter().filter(|it| it.path == "/loop").count(), 21);
}

#[test]
fn what_is_no_address_of_a_page_is_refused_before_anything_is_asked() {
    let server = serving(|_, out| ok(out, ""));
    let (_dir, host, _) = host(&server, &[]);
    for (url, says) in [
        ("example.org", "Invalid URL \"example.org\": relative URL without a base"),
        ("ftp://127.0.0.1/x", "only http and https can be fetched, not ftp"),
        ("file:///etc/passwd", "only http and https can be fetched, not file"),
        ("http://me:secret@127.0.0.1/", "it has a user name or password in it"),
        ("http:///", "Invalid URL"),
        ("http://127.0.0.1:99999/", "invalid port number"),
    ] {
        let result = call(&host, "fetch", json!({ "url": url }));
        assert!(result["error"]["kind"] == "tool" && message(&result).contains(says), "{result}");
    }
    assert!(server.asked().is_empty());
    let result = call(&host, "fetch", json!({ "url": "https://example.org/x" }));
    assert_eq!(result["error"]["kind"], "denied");
    assert!(message(&result).contains("--allow-net 'example.org'"), "{result}");
}

#[test]
fn fetches_of_a_batch_run_at_once() {
    let (here, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = serving(move |_, out| {
        seen.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Until all are here, or for as long as is certainly too long.
        for _ in 0..500 {
            if seen.load(Ordering::SeqCst) > 2 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        here.fetch_sub(1, Ordering::SeqCst);
        page(out, "text/html", PAGE.as_bytes())
    });
    let (_dir, host, at) = host(&server, &[]);
    let one = json!({ "tool": "fetch", "args": { "url": at } });
    let report = report(&host, &json!({ "calls": [one, one, one] }));
    assert!(
        report["results"].as_array().unwrap().iter().all(|it| it["status"] == "ok"),
        "{report}"
    );
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn pages_that_are_made_to_hurt_do_not() {
    let server = serving(|asked, out| {
        let deep = |open: &str| open.repeat(1000);
        let body = match &*asked.path {
            "/divs" => deep("<div>"),
            "/quotes" => deep("<blockquote>"),
            "/lists" => deep("<ul><li>"),
            "/tables" => deep("<table><tr><td>"),
            "/marks" => deep("<b><i>"),
            "/span" => "<table><tr><td colspan=4000000000>x</td></tr></table>".to_owned(),
            _ => "<a ".repeat(1 << 16),
        };
        page(out, "text/html", format!("{body}<p>{}</p>", "so it is, ".repeat(100)).as_bytes())
    });
    let (_dir, host, at) = host(&server, &[]);
    for path in ["divs", "quotes", "lists", "tables", "marks", "span", "open"] {
        let limits = json!({ "timeout": "30s" });
        let call =
            json!({ "tool": "fetch", "args": { "url": format!("{at}/{path}") }, "limits": limits });
        let report = report(&host, &json!({ "calls": [call] }));
        let result = &report["results"][0];
        let kind = result["error"]["kind"].as_str().unwrap_or("ok");
        assert!(kind == "ok", "{path}: {result}");
    }
}

#[test]
fn the_command_line_fetches() {
    let server = serving(|_, out| page(out, "text/html", PAGE.as_bytes()));
    let at = format!("127.0.0.1:{}", server.port);
    let (dir, _) = scratch(&[]);
    let plugin = repository().join("plugins/dist/fetch.wasm");
    let mut command = inorder();
    command.current_dir(dir.path()).args(["call", "fetch", &format!("url=http://{at}/")]);
    command.arg("--plugin").arg(plugin).args(["--allow-net", &at, "--no-audit"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("[goes to the sea](/sea)"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
