//! Policy as text: configs, and patterns of paths and hosts.

use std::path::Path;

use crate::policy::{
    Config, Door, EnvGrant, GraphqlEndpoint, Host, NetGrant, PathGrant, PathPattern,
};

/// The text is a config.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(config) = Config::parse(text, Path::new("dir/inorder.toml")) else { return };
    for plugin in config.plugins.values() {
        for grant in plugin.grants.read.iter().chain(&plugin.grants.write) {
            assert_eq!(
                PathGrant::parse(&grant.pattern()).as_ref(),
                Ok(grant),
                "not as it is written"
            );
        }
        for grant in &plugin.grants.net {
            assert_eq!(
                NetGrant::parse(&grant.pattern()).as_ref(),
                Ok(grant),
                "not as it is written"
            );
        }
        for endpoint in &plugin.grants.graphql {
            assert_eq!(
                GraphqlEndpoint::parse(&endpoint.pattern()).as_ref(),
                Ok(endpoint),
                "not as it is written"
            );
        }
        for grant in &plugin.grants.env {
            let (EnvGrant::Pass(name) | EnvGrant::Set(name, _)) = grant;
            assert!(!name.is_empty() && !name.contains(['=', '\0']), "{name:?} is no variable");
        }
    }
}

/// The first two lines are patterns, the others paths.
pub fn pattern(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut lines = text.lines();
    let parse = |line: Option<&str>| -> Option<PathPattern> {
        PathGrant::parse(line?).ok()?.beneath(Path::new("/root"))
    };
    let (Some(one), Some(other)) = (parse(lines.next()), parse(lines.next())) else { return };
    assert_eq!(one.overlaps(&other), other.overlaps(&one));
    for path in lines.take(20).filter(|path| plain(path)) {
        if one.matches(path) {
            for (slash, _) in path.match_indices('/') {
                assert!(one.leads(&path[..slash]), "{path:?} is granted and cannot be reached");
            }
            assert!(!other.matches(path) || one.overlaps(&other), "{path:?} is in both");
            assert!(path.starts_with(one.base()), "{path:?} is not in {:?}", one.base());
        }
        if one.covers(path) {
            assert!(one.matches(&format!("{path}/x/y")), "{path:?} is covered, not what is in it");
        }
    }
}

/// The first line is a grant of hosts, the others are hosts as requests name them.
pub fn hosts(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut lines = text.lines();
    let Some(Ok(grant)) = lines.next().map(NetGrant::parse) else { return };
    assert_eq!(NetGrant::parse(&grant.pattern()).as_ref(), Ok(&grant), "not as it is written");
    for host in lines.take(20) {
        let Ok(host) = Host::parse(host) else { continue };
        assert_eq!(
            Host::parse(&host.to_string()).as_ref(),
            Ok(&host),
            "there are two ways to write it"
        );
        let door = Door { port: grant.port().unwrap_or(443), tls: true };
        if grant.matches(&host, door) {
            let pattern = grant.pattern();
            // A name is granted by its own end, or by `*`.
            if let (Host::Name(name), Some(above)) = (&host, pattern.strip_prefix("*.")) {
                let above = above.split(':').next().unwrap_or(above);
                assert!(name.ends_with(above) && name != above, "{name} is not beneath {above}");
            }
            let other = Door { port: 1 + door.port % 65535, tls: true };
            assert!(!grant.matches(&host, other) || grant.any_port(), "{host} by another port");
        }
    }
}

/// As views spell paths.
fn plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}
