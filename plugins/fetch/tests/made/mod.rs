//! Input made from a seed: HTML in small pieces and in whole pages, and rules for robots.

use std::fmt::Write as _;

pub struct Made(u64);

const WORDS: &[&str] = &[
    "river",
    "stone",
    "a_b",
    "2*3",
    "the",
    "of",
    "caf\u{e9}",
    "x\u{a0}y",
    "&amp;",
    "&lt;b&gt;",
    "long",
    "morning,",
    "and",
    "water.",
    "1.",
    "#",
    "-",
    "`tick`",
    "\u{65e5}\u{672c}",
];

impl Made {
    pub fn new(seed: u64) -> Made {
        Made(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn space(&mut self) -> &'static str {
        self.one(&["", " ", " ", "\n", "\n  ", "  ", "\t"])
    }

    fn words(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(most) {
            let _ = write!(text, "{}{}", self.one(WORDS), self.one(&[" ", " ", "\n", "  "]));
        }
        text
    }

    /// Anything in anything.
    pub fn fragment(&mut self) -> String {
        self.pieces(4)
    }

    fn pieces(&mut self, depth: usize) -> String {
        let mut html = String::new();
        for _ in 0..1 + self.below(4) {
            html += self.space();
            html += &match self.below(if depth == 0 { 1 } else { 4 }) {
                0 => self.words(4),
                1 => self.inline(depth - 1),
                _ => self.block(depth - 1),
            };
            html += self.space();
        }
        html
    }

    fn inline(&mut self, depth: usize) -> String {
        let inner = self.pieces(depth);
        match self.below(8) {
            0 => format!("<a href=\"{}\"{}>{inner}</a>", self.address(), self.title()),
            1 => {
                let address = self.address();
                format!("<a href=\"{address}\">{address}</a>")
            }
            2 => format!(
                "<img alt=\"{}\" src=\"{}\"{}>",
                self.one(WORDS),
                self.address(),
                self.title()
            ),
            3 => "<br>".to_owned(),
            _ => {
                let name = self.one(&[
                    "b", "strong", "em", "i", "code", "kbd", "samp", "del", "s", "sub", "sup", "q",
                    "span", "small",
                ]);
                format!("<{name}>{inner}</{name}>")
            }
        }
    }

    fn block(&mut self, depth: usize) -> String {
        match self.below(8) {
            0 => self.list(depth),
            1 => self.table(depth),
            2 => "<hr>".to_owned(),
            3 => format!("<pre>{}{}</pre>", self.space(), self.words(6)),
            4 => {
                let (term, inner) = (self.words(2), self.pieces(depth));
                format!("<dl><dt>{term}</dt>{}<dd>{inner}</dd></dl>", self.space())
            }
            _ => {
                let name = self.one(&[
                    "p",
                    "p",
                    "p",
                    "div",
                    "section",
                    "article",
                    "blockquote",
                    "h1",
                    "h2",
                    "h3",
                    "h6",
                    "figure",
                    "figcaption",
                    "main",
                    "video",
                ]);
                let inner = self.pieces(depth);
                format!("<{name}>{inner}</{name}>")
            }
        }
    }

    fn list(&mut self, depth: usize) -> String {
        let open = self.one(&["ul", "ul", "ol", "ol start=\"7\""]);
        let mut html = format!("<{open}>");
        for _ in 0..self.below(4) {
            let item = self.pieces(depth);
            let _ = write!(html, "{}<li>{item}</li>", self.space());
        }
        html + self.space() + "</" + &open[..2] + ">"
    }

    fn table(&mut self, depth: usize) -> String {
        let mut html = "<table>".to_owned();
        if self.below(4) == 0 {
            let _ = write!(html, "<caption>{}</caption>", self.words(3));
        }
        let head = self.below(3) == 0;
        for row in 0..1 + self.below(3) {
            let open = if head && row == 0 { "<thead>" } else { "" };
            let _ = write!(html, "{open}<tr>{}", self.space());
            for _ in 0..1 + self.below(3) {
                let name = if row == 0 { self.one(&["th", "th", "td"]) } else { "td" };
                let span = self.one(&["", "", "", " colspan=\"2\"", " colspan=\"x\""]);
                let _ = write!(html, "<{name}{span}>{}</{name}>", self.pieces(depth.min(1)));
            }
            let close = if head && row == 0 { "</thead>" } else { "" };
            let _ = write!(html, "</tr>{close}{}", self.space());
        }
        html + "</table>"
    }

    fn address(&mut self) -> String {
        let path = self.one(&["", "/", "/a_b", "/wiki/Stone_(rock)", "/x?y=z&amp;q"]);
        self.one(&["https://example.org", "", "http://example.com:8080"]).to_owned() + path
    }

    fn title(&mut self) -> &'static str {
        self.one(&["", "", "", " title=\"a title\"", " title=\"say &quot;so&quot;\""])
    }

    /// A page as there are many: an article with something around it.
    pub fn page(&mut self) -> String {
        let title = self.words(5);
        let mut html = format!(
            "<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{title}</title>"
        );
        html += "<style>p { color: red }</style><script>document.write('<p>no</p>')</script></head>\n<body>";
        if self.below(2) == 0 {
            html += "<header class=site-header><a href=/>Home</a></header>";
        }
        if self.below(2) == 0 {
            html += "<nav><ul><li><a href=/a>One</a></li><li><a href=/b>Two</a></li></ul></nav>\n";
        }
        if self.below(2) == 0 {
            html += "<div class=sidebar id=sidebar><h3>Related</h3><a href=/c>Three</a><a href=/d>Four</a></div>";
        }
        let place =
            self.one(&["article", "main", "div class=content", "div id=post", "div", "section"]);
        let _ = writeln!(html, "<{place}>\n<h1>{title}</h1>");
        for _ in 0..2 + self.below(8) {
            html += &match self.below(8) {
                0 => format!("<h2>{}</h2>\n", self.words(3)),
                1 => {
                    let (one, two) = (self.prose(1), self.prose(2));
                    format!("<ul><li>{one}</li><li>{two}</li></ul>\n")
                }
                2 => format!("<pre><code>{}</code></pre>\n", self.words(20)),
                3 => format!("<blockquote><p>{}</p></blockquote>\n", self.prose(2)),
                4 => self.table(1),
                _ => format!("<p>{}</p>\n", self.prose(4)),
            };
        }
        let _ = writeln!(html, "</{}>", place.split(' ').next().unwrap_or_default());
        if self.below(2) == 0 {
            html += "<div class=comments><p>First! A comment that is here for all to see, and not read.</p></div>";
        }
        html += "<footer><p>Copyright, all rights reserved <a href=/legal>Legal</a></p></footer></body></html>\n";
        html
    }

    /// Sentences with something in them.
    fn prose(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(most) {
            let _ = write!(
                text,
                "The {} is {} ",
                self.one(&["river", "stone", "old mill"]),
                self.words(12)
            );
            let _ = match self.below(5) {
                0 => write!(text, "<a href=\"{}\">{}</a>, ", self.address(), self.words(2)),
                1 => write!(text, "<em>{}</em>, ", self.words(2)),
                2 => write!(text, "<code>{}</code>, ", self.one(&["let x = a_b;", "2*3"])),
                _ => Ok(()),
            };
            text += "and so, after a while, all of it is seen in the water. ";
        }
        text
    }

    /// A robots.txt, who asks, and for what.
    pub fn robots(&mut self) -> [String; 3] {
        let mut robots = String::new();
        for _ in 0..self.below(4) {
            for _ in 0..1 + self.below(2) {
                let agent = self.one(&["*", "*", "ModelContextProtocol", "GPTBot", "Mozilla"]);
                let _ = writeln!(
                    robots,
                    "{}: {agent}",
                    self.one(&["User-agent", "user-agent", "USER-AGENT"])
                );
            }
            for _ in 0..self.below(4) {
                let rule = self.one(&["Disallow", "Disallow", "Allow", "Crawl-delay"]);
                let path = self.one(&[
                    "",
                    "/",
                    "/a",
                    "/a/",
                    "/a/b",
                    "/*.html",
                    "/*.html$",
                    "/a*c",
                    "/a/b$",
                    "/%61",
                    "/caf\u{e9}",
                    "/a?x=1",
                    "/*?",
                ]);
                let _ = writeln!(robots, "{rule}: {path}{}", self.one(&["", "", " # why"]));
            }
            robots +=
                self.one(&["\n", "", "# a comment\n", "Sitemap: https://example.org/map.xml\n"]);
        }
        let agent = self.one(&[
            "inorder-fetch/1 (Autonomous; compatible with ModelContextProtocol/1.0)",
            "ModelContextProtocol/1.0 (Autonomous)",
        ]);
        let path = self.one(&[
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/c",
            "/a/x.html",
            "/x.html?y",
            "/caf%C3%A9",
            "/a?x=1",
            "/abc",
            "/robots.txt",
            "/b#a",
        ]);
        [robots, agent.to_owned(), format!("https://example.org{path}")]
    }
}
