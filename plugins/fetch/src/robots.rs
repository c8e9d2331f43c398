//! What a site's robots.txt says of a page. How it is fetched, and what its absence means, `fetch` knows.

use robotxt::Robots;
use url::Url;

/// Whom the reference server says to be. A site that names it means tools like this one.
const REFERENCE: &str = "ModelContextProtocol";

/// Whether a program may fetch a page: by the rules for its own name, else by those for the reference server, else by those for all.
pub fn allows(robots: &[u8], user_agent: &str, url: &Url) -> bool {
    let rules = Robots::parse(robots, product(user_agent));
    let rules = if rules.user_agent() == "*" { Robots::parse(robots, REFERENCE) } else { rules };
    rules.is_url_allowed(url)
}

/// `inorder-fetch` of `inorder-fetch/0.1.0 (..)`.
fn product(user_agent: &str) -> &str {
    user_agent.split(['/', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_for_the_closest_name_and_the_longest_path() {
        let robots = b"User-agent: *\nDisallow: /private\nAllow: /private/open$\nDisallow: /*.php\n\n\
            User-agent: modelcontextprotocol\nDisallow: /model\n\nUser-agent: Other-Bot\nDisallow: /\n";
        for (path, everyone, reference, other) in [
            ("/", true, true, false),
            ("/private", false, true, false),
            ("/private/x?y=z", false, true, false),
            ("/private/open", true, true, false),
            ("/private/opened", false, true, false),
            ("/a/b.php?c", false, true, false),
            ("/model/x", true, false, false),
            ("/robots.txt", true, true, true),
        ] {
            let url = Url::parse("https://example.org").and_then(|it| it.join(path)).unwrap();
            let without = &robots[..robots.iter().position(|it| *it == b'm').unwrap() - 12];
            assert_eq!(allows(without, "inorder-fetch/1 (x)", &url), everyone, "{path}");
            assert_eq!(allows(robots, "inorder-fetch/1 (x)", &url), reference, "{path}");
            assert_eq!(allows(robots, "other-bot/2", &url), other, "{path}");
        }
    }

    #[test]
    fn what_is_no_robots_txt_forbids_nothing() {
        let url = Url::parse("https://example.org/x").unwrap();
        for robots in [
            &b""[..],
            b"<!doctype html><p>Not found",
            b"Disallow: /",
            b"User-agent: *\nDisallow:\n",
        ] {
            assert!(allows(robots, "a", &url), "{}", String::from_utf8_lossy(robots));
        }
    }
}
