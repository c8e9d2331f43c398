//! The example in `examples/step`, as it is, but for Linear, which is the server of these tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{KEY, Linear, SERVER};
use crate::support::{inorder, repository};

/// The example in a folder of its own, with the repository that its script makes.
struct Step {
    linear: Linear,
    config: PathBuf,
}

impl Step {
    fn new() -> Option<Step> {
        let linear = Linear::new("step")?;
        if !repository().join("target/plugins/python.wasm").is_file() {
            let missing = "needs target/plugins/python.wasm: plugins/python/build.sh makes it";
            assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "{missing}");
            let _ = writeln!(std::io::stderr(), "skipped linear::step: {missing}");
            return None;
        }
        let (example, dir) = (repository().join("examples/step"), linear.dir.path());
        let copied = Command::new("cp").arg("-R").arg(example.join("project")).arg(dir).status();
        assert!(copied.unwrap().success());
        std::fs::copy(example.join("setup.sh"), dir.join("setup.sh")).unwrap();
        assert!(Command::new("sh").arg(dir.join("setup.sh")).status().unwrap().success());
        let config = linear.dir.path().join("step.toml");
        let written = std::fs::read_to_string(example.join("inorder.toml")).unwrap();
        std::fs::write(&config, linear.instead(&written)).unwrap();
        Some(Step { linear, config })
    }

    /// The value of each call, all of which have to be ok.
    fn run(&self, batch: &str) -> Value {
        let batch = repository().join("examples/step").join(batch);
        let mut command = inorder();
        command.arg("run").arg(batch).arg("--config").arg(&self.config);
        command.args(["--json", "--no-audit"]).env("LINEAR_API_KEY", KEY);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        let results = report["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| {
                assert_eq!(result["status"], "ok", "{result}");
                (result["id"].as_str().unwrap().to_owned(), result["value"].clone())
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn shop(&self) -> PathBuf {
        self.linear.dir.path().join("shop")
    }
}

impl Linear {
    /// A config for Linear itself, with the server of these tests in its place, and plugins where they are.
    fn instead(&self, config: &str) -> String {
        let port = SERVER.as_ref().unwrap().lock().unwrap().port;
        let at = format!("127.0.0.1:{port}");
        config
            .replace("\"../../", &format!("\"{}/", repository().display()))
            .replace("api.linear.app/graphql", &format!("{at}/{}/graphql", self.name))
            .replace("\"api.linear.app\"", &format!("{at:?}"))
            .replace(
                "[plugins.linear]",
                &format!(
                    "[plugins.linear]\nenv = [\"LINEAR_API_URL=http://{at}/{}/graphql\"]",
                    self.name
                ),
            )
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_step_looks_at_everything_at_once_and_then_changes_and_commits() {
    let Some(step) = Step::new() else { return };
    let seen = step.run("look.json");
    assert!(seen["readme"].as_str().unwrap().starts_with("# shop"));
    assert!(seen["status"].as_str().unwrap().contains("working tree clean"));
    assert_eq!(seen["rules"]["entities"][0]["name"], "discounts");
    assert_eq!(seen["habits"]["entities"][0]["name"], "tests");
    assert_eq!(seen["issue"]["identifier"], "ENG-1");
    assert_eq!(seen["audit"]["findings"][0]["code"], "F401");
    assert_eq!(seen["coverage"]["files"][0]["missed"], "15");
    assert_eq!(step.linear.log(), ["query Issue"]);

    let done = step.run("change.json");
    assert_eq!(done["run"]["successful"], true, "{}", done["run"]);
    assert_eq!(done["run"]["passed"], 3);
    let shop = step.shop();
    let price = std::fs::read_to_string(shop.join("shop/price.py")).unwrap();
    assert!(price.contains("min(max(percent, 0), 100)") && price.contains("math.ceil("), "{price}");
    let subjects = git(&shop, &["log", "--format=%s"]);
    assert_eq!(
        subjects,
        "Discounts are never more than all of it; taxes are rounded up\nA small shop\n"
    );
    assert_eq!(git(&shop, &["status", "--porcelain"]), "");
    assert_eq!(
        git(&shop, &["show", "--format=", "--name-only", "HEAD"]),
        "shop/price.py\ntests/test_price.py\n"
    );
    git(&shop, &["fsck", "--strict"]);
}
