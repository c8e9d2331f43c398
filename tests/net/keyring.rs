//! A secret from the keyring of the user's session: a real one, of a session made for the test.
//!
//! Needs `secret-tool`, `gnome-keyring-daemon` and `dbus-run-session` (Debian: `libsecret-tools`, `gnome-keyring`, `dbus`).
//! Without them it is skipped, unless `INORDER_REQUIRE_KIT` is set, as CI does.

use std::process::Command;

use super::server::{Server, ok};
use crate::support::built_guest;

/// Unlocks a new keyring, puts one secret into it, and sends a request with it and one without an item.
const SESSION: &str = r#"
printf 'password' | gnome-keyring-daemon --unlock --components=secrets --foreground >"$HOME/log" 2>&1 &
daemon=$!
# Whoever asks before it is there has another one started, which is locked.
for _ in $(seq 100); do
    dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
        string:org.freedesktop.secrets | grep -q true && break
    sleep 0.1
done
printf 'keyring_0123456789' | secret-tool store --label one service inorder name one
"$INORDER" call request "url=$URL" 'options={}' --config one.toml --no-audit
"$INORDER" call request "url=$URL" 'options={}' --config two.toml --no-audit
kill "$daemon"
"#;

fn there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
}

#[test]
fn a_secret_is_taken_from_the_keyring_and_a_missing_one_is_told_how_to_put_there() {
    let Some(guest) = built_guest("http") else { return };
    let needs = ["secret-tool", "gnome-keyring-daemon", "dbus-run-session"];
    if let Some(missing) = needs.into_iter().find(|it| !there(it)) {
        assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "needs {missing}");
        eprintln!("skipped: there is no {missing}");
        return;
    }
    let server = Server::plain(|asked, out| ok(out, asked.header("x-key").unwrap_or("none")));
    let at = format!("localhost:{}", server.port);
    let dir = tempfile::tempdir().unwrap();
    for item in ["one", "two"] {
        let config = format!(
            r#"
            [secrets]
            key = {{ host = "{at}", header = "X-Key", from-keyring = "{item}" }}
            [plugins.http]
            path = {guest:?}
            net = ["{at}"]
            secrets = ["key"]
            "#
        );
        std::fs::write(dir.path().join(format!("{item}.toml")), config).unwrap();
    }
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", SESSION])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("INORDER", env!("CARGO_BIN_EXE_inorder"))
        .env_remove("INORDER_CONFIG")
        .env("URL", format!("http://{at}/"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(server.asked()[0].header("x-key"), Some("keyring_0123456789"), "{said}");
    assert!(said.contains("[secret key]"), "{said}");
    assert!(said.contains("secret-tool store --label two service inorder name two"), "{said}");
    assert_eq!(server.asked().len(), 1, "{said}");
}
