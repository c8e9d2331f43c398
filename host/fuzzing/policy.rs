//! Policy as text: configs, and patterns of paths.

use std::path::Path;

use crate::policy::{Config, EnvGrant, PathGrant, PathPattern};

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

/// As views spell paths.
fn plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}
