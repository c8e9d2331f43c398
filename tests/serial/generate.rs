//! Batches from a seed: few names, so that most calls meet others, and contents that tell who wrote them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::paths::Paths;
use super::rng::Rng;
use super::tree::{Node, Tree};

/// The calls of a batch, and what they start from.
#[derive(Clone)]
pub struct Batch {
    pub seed: u64,
    pub jobs: usize,
    pub before: Tree,
    pub calls: Vec<Call>,
}

#[derive(Clone)]
pub struct Call {
    /// The place that the call was generated at: stays when others are taken out.
    pub number: usize,
    pub tool: &'static str,
    /// Whether it goes to the plugin that may only read.
    pub reader: bool,
    /// A reference is `{"$from": number, "at": pointer}` until it is rendered.
    pub args: Map<String, Value>,
    pub after: Vec<usize>,
}

/// A reference in a call's arguments.
pub struct Link {
    /// The number of the call that it refers to.
    pub from: usize,
    pub at: String,
    /// Where in the arguments it stands: a JSON Pointer.
    pub place: String,
}

/// What batches are made of.
#[derive(Clone, Copy)]
pub struct Ingredients {
    /// Calls that fail with some of their work done: because they are asked to, or by themselves.
    pub failures: bool,
    /// Paths that end in `/`.
    pub slashes: bool,
}

pub const TOOLS: [(usize, &str); 24] = [
    (10, "read"),
    (3, "read_at"),
    (13, "write"),
    (5, "create_new"),
    (9, "append"),
    (12, "replace"),
    (7, "copy"),
    (5, "join"),
    (6, "write_at"),
    (4, "truncate"),
    (8, "rename"),
    (5, "remove"),
    (5, "mkdir"),
    (3, "rmdir"),
    (4, "list"),
    (3, "walk"),
    (5, "stat"),
    (4, "touch"),
    (4, "symlink"),
    (3, "readlink"),
    (4, "hard_link"),
    (4, "exists_all"),
    (2, "remove_tree"),
    (3, "create_tree"),
];

/// Whether a tool may change anything.
pub fn writes(tool: &str) -> bool {
    !matches!(tool, "read" | "read_at" | "list" | "walk" | "stat" | "readlink" | "exists_all")
}

const JOBS: [usize; 4] = [1, 2, 4, 8];

pub fn batch(seed: u64, ingredients: Ingredients) -> Batch {
    let mut rng = Rng::new(seed);
    let jobs = JOBS[rng.below(JOBS.len())];
    let spread = [1, 1, 2, 4][rng.below(4)];
    let mut making = Making {
        paths: Paths { spread, slashes: ingredients.slashes },
        ingredients,
        slow: rng.one_in(4),
        large: if rng.one_in(50) {
            720_000
        } else if rng.one_in(12) {
            30_000
        } else {
            0
        },
        larges: 4,
        calls: Vec::new(),
        rng,
    };
    let before = making.tree();
    let calls = 8 + making.rng.below(57).min(making.rng.below(57));
    for _ in 0..calls {
        let call = making.call();
        making.calls.push(call);
    }
    Batch { seed, jobs, before, calls: making.calls }
}

struct Making {
    rng: Rng,
    paths: Paths,
    ingredients: Ingredients,
    slow: bool,
    /// How often the text of a large content is repeated; 0 for a batch without.
    large: u32,
    /// How many more may be large.
    larges: usize,
    calls: Vec<Call>,
}

impl Making {
    fn tree(&mut self) -> Tree {
        let mut nodes = BTreeMap::new();
        for dir in ["d", "d/s", "e"] {
            let mode = if self.rng.one_in(4) { 0o700 } else { 0o755 };
            nodes.insert(dir.to_owned(), Node::Dir { mode });
        }
        for path in self.paths.files() {
            if self.rng.one_in(8) {
                continue;
            }
            let mode = *[&0o644, &0o644, &0o600, &0o755][self.rng.below(4)];
            let times = if self.rng.one_in(10) { 20_000 } else { 1 + self.rng.below(4) };
            let content = format!("{path};").repeat(times).into_bytes();
            nodes.insert(path, Node::File { content, mode, mtime: 0 });
        }
        // `h` sorts after `b`, so that it is the one that names the other.
        if nodes.contains_key("b") {
            nodes.insert("h".to_owned(), Node::Link { to: "b".to_owned() });
        }
        for (path, target) in
            [("l", "a"), ("ld", "d"), ("d/up", "../c"), ("gone", "n"), ("e/ll", "../l")]
        {
            if !self.rng.one_in(4) {
                nodes.insert(path.to_owned(), Node::Symlink { target: target.to_owned() });
            }
        }
        Tree(nodes)
    }

    fn call(&mut self) -> Call {
        let number = self.calls.len();
        let tool = self.rng.weighted(&TOOLS);
        let Value::Object(mut args) = self.arguments(tool) else { unreachable!() };
        if self.slow && self.rng.one_in(8) {
            args.insert("slow".to_owned(), json!(1 + self.rng.below(3)));
        }
        if self.ingredients.failures && self.rng.one_in(10) {
            args.insert("fail".to_owned(), json!(["err", "trap"][self.rng.below(2)]));
        }
        let after = match number {
            0 => vec![],
            _ if self.rng.one_in(8) => vec![self.rng.below(number)],
            _ => vec![],
        };
        let reader = !writes(tool) && self.rng.one_in(4);
        Call { number, tool, reader, args, after }
    }

    fn arguments(&mut self, tool: &str) -> Value {
        match tool {
            "read" => json!({"path": self.file()}),
            "readlink" => json!({"path": self.paths.link(&mut self.rng)}),
            "read_at" => json!({
                "path": self.file(), "offset": self.offset(), "length": 1 + self.rng.below(200),
            }),
            "write" | "append" => {
                let mut args = json!({"path": self.file(), "text": self.text()});
                if self.large > 0 && self.larges > 0 && self.rng.one_in(4) {
                    self.larges -= 1;
                    args["text"] = self.own_text().into();
                    args["times"] = self.large.into();
                }
                args
            }
            "create_new" => json!({"path": self.fresh(), "text": self.text()}),
            "replace" => {
                let (old, new) = (self.old(), format!("r{};", self.calls.len()));
                json!({"path": self.file(), "old": old, "new": new})
            }
            "copy" => json!({"source": self.file(), "target": self.target()}),
            "join" => {
                let sources: Vec<Value> = (0..1 + self.rng.below(3)).map(|_| self.file()).collect();
                json!({"sources": sources, "target": self.target()})
            }
            "write_at" => {
                json!({"path": self.file(), "offset": self.offset(), "text": self.text()})
            }
            "truncate" => json!({"path": self.file(), "size": self.offset()}),
            "rename" => json!({"source": self.any(), "target": self.target()}),
            "hard_link" => json!({"source": self.any(), "target": self.fresh()}),
            "remove" => json!({"path": self.any()}),
            // The one operation here that may change something and then fail without being asked to.
            "create_tree" if !self.ingredients.failures => {
                json!({"path": self.paths.plain_dir(&mut self.rng)})
            }
            "mkdir" | "create_tree" | "rmdir" | "remove_tree" => json!({"path": self.dir()}),
            "list" | "walk" => {
                let root = self.rng.one_in(3);
                json!({"path": if root { json!(".") } else { self.dir() }})
            }
            "stat" => {
                let follow = match self.earlier(&["exists_all"]) {
                    Some(from) => json!({"$from": from, "at": "/0"}),
                    None => self.rng.one_in(2).into(),
                };
                json!({"path": self.any(), "follow": follow, "mtime": self.rng.one_in(2)})
            }
            "touch" => {
                let mtime = match self.earlier(&["stat"]) {
                    Some(from) => json!({"$from": from, "at": "/mtime"}),
                    None => (1_000_000_000 + self.calls.len()).into(),
                };
                json!({"path": self.file(), "mtime": mtime})
            }
            "symlink" => json!({"target": self.paths.said(&mut self.rng), "path": self.fresh()}),
            "exists_all" => {
                let paths: Vec<Value> = (0..1 + self.rng.below(4)).map(|_| self.any()).collect();
                json!({ "paths": paths })
            }
            _ => unreachable!(),
        }
    }

    fn file(&mut self) -> Value {
        match self.earlier(&["readlink"]) {
            Some(from) => json!({"$from": from}),
            None => self.paths.file(&mut self.rng).into(),
        }
    }

    fn dir(&mut self) -> Value {
        self.paths.dir(&mut self.rng).into()
    }

    fn target(&mut self) -> Value {
        self.paths.target(&mut self.rng).into()
    }

    fn fresh(&mut self) -> Value {
        self.paths.fresh(&mut self.rng).into()
    }

    fn any(&mut self) -> Value {
        self.paths.any(&mut self.rng).into()
    }

    /// Bytes from the start of a file: mostly within the short ones, sometimes far past the end.
    fn offset(&mut self) -> Value {
        if let Some(from) = self.earlier(&["stat"]) {
            return json!({"$from": from, "at": "/size"});
        }
        let most = self.rng.weighted(&[(6, 4), (12, 30), (1, 5_000), (1, 100_000)]);
        self.rng.below(most).into()
    }

    fn text(&mut self) -> Value {
        if let Some(from) = self.earlier(&["read", "read_at", "readlink"]) {
            return json!({"$from": from});
        }
        if let Some(from) = self.earlier(&["list", "walk"]) {
            // Sometimes there is none so far down.
            return json!({"$from": from, "at": format!("/{}", self.rng.below(6))});
        }
        self.own_text().into()
    }

    /// Unique to the call.
    fn own_text(&mut self) -> String {
        format!("c{};", self.calls.len())
    }

    /// What may stand in a file: of a file that was there, or of an earlier call.
    fn old(&mut self) -> String {
        match self.rng.below(3) {
            0 => ";".to_owned(),
            1 => "c".to_owned(),
            _ => format!("{};", self.paths.file(&mut self.rng)),
        }
    }

    /// Sometimes, an earlier call of one of these tools.
    fn earlier(&mut self, tools: &[&str]) -> Option<usize> {
        if !self.rng.one_in(6) {
            return None;
        }
        let fit = |call: &&Call| tools.contains(&call.tool);
        let numbers: Vec<usize> = self.calls.iter().filter(fit).map(|call| call.number).collect();
        (!numbers.is_empty()).then(|| numbers[self.rng.below(numbers.len())])
    }
}
