//! Asking before something becomes real: which rules match, what was answered, and what a refusal says.
//!
//! Joins `policy/`, which knows rules, with what a run has staged or wants to send. When it is asked, is `schedule/`'s.

mod requested;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::approval::{About, Approver, AskedCall, Decision, Question};
use crate::audit::AskedRule;
use crate::batch::{CallError, Change, ErrorKind};
use crate::files::{FilesError, Roots, Touched};
use crate::net::Sending;
use crate::places;
use crate::policy::{AskRule, Door, Host, PathPattern};
use crate::sandbox::Pauses;

/// The rules for one plugin, as they are beneath the roots of a host.
pub(crate) struct Asks {
    plugin: String,
    rules: Vec<Rule>,
}

struct Rule {
    rule: AskRule,
    /// By root: what it matches there, if it names paths.
    beneath: Vec<Option<Beneath>>,
    /// Where it stands, for messages.
    line: String,
}

/// The paths that a rule is about in one root.
struct Beneath {
    pattern: PathPattern,
    root: PathBuf,
}

impl Beneath {
    /// Paths are touched where they are, and a rule may name them by way of symlinks. Whoever changes what is on the way to
    /// where its pattern begins decides what it names.
    fn is_touched(&self, touched: &Touched) -> bool {
        let is_meant =
            |path: &str| self.pattern.matches(path) || (touched.tree && self.pattern.leads(path));
        let base = self.pattern.base();
        let below = |path: &str| {
            base.strip_prefix(path).map(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_meant(&touched.path)
            || below(&touched.path) == Some(true)
            || self.by_symlinks(base, &touched.path).is_some_and(|path| is_meant(&path))
    }

    /// The path as the rule would name it, if its base is a symlink or behind one.
    fn by_symlinks(&self, base: &str, path: &str) -> Option<String> {
        let real = places::real(&self.root.join(base));
        let real = real.strip_prefix(&self.root).ok().filter(|real| *real != Path::new(base))?;
        let rest = Path::new(path).strip_prefix(real).ok()?;
        let named = Path::new(base).join(rest);
        // Without the slash that nothing is joined by.
        Some(named.to_str()?.trim_end_matches('/').to_owned())
    }
}

impl Asks {
    /// `all` are the rules for every plugin, `own` those for this one.
    ///
    /// # Errors
    /// A rule names paths that lie in none of the roots: nobody would ever be asked.
    pub(crate) fn new(
        roots: &Roots,
        plugin: &str,
        all: &[AskRule],
        own: &[AskRule],
    ) -> Result<Asks, FilesError> {
        let rule = |rule: &AskRule, line: String| {
            let paths = rule.of_files().flatten();
            let beneath = roots.paths().enumerate().map(|(index, root)| {
                let pattern = paths.filter(|it| index == 0 || it.is_absolute())?.beneath(root)?;
                Some(Beneath { pattern, root: root.to_owned() })
            });
            let beneath: Vec<_> = beneath.collect();
            if paths.is_some() && beneath.iter().all(Option::is_none) {
                let roots: Vec<_> = roots.paths().map(|path| path.display().to_string()).collect();
                let (rule, roots) = (rule.text().to_owned(), roots.join(", "));
                return Err(FilesError::NeverAsked { rule, roots });
            }
            Ok(Rule { rule: rule.clone(), beneath, line })
        };
        let list = |rule: &AskRule| toml::Value::from(vec![rule.text()]);
        let all = all.iter().map(|it| {
            rule(it, format!("`ask = {}` in the config, or --ask '{}'", list(it), it.text()))
        });
        let own = own.iter().map(|it| {
            rule(it, format!("`ask = {}` under [plugins.{plugin}] in the config", list(it)))
        });
        Ok(Asks { plugin: plugin.to_owned(), rules: all.chain(own).collect::<Result<_, _>>()? })
    }

    pub(crate) fn of_requests(&self) -> bool {
        self.rules.iter().any(|it| it.rule.is_of_requests())
    }

    pub(crate) fn of_files(&self) -> bool {
        self.rules.iter().any(|it| it.rule.of_files().is_some())
    }

    /// The rules that ask about a commit that touches these paths.
    pub(crate) fn about_files(&self, touched: &[Touched]) -> Vec<usize> {
        let matches = |rule: &Rule| match rule.rule.of_files() {
            None => false,
            Some(None) => !touched.is_empty(),
            Some(Some(_)) => touched.iter().any(|it| {
                let beneath = rule.beneath.get(it.root).and_then(Option::as_ref);
                // A file that may be another one by another name may be one of those that are meant.
                it.other_names || beneath.is_some_and(|beneath| beneath.is_touched(it))
            }),
        };
        self.matching(matches)
    }

    /// The rules that ask about requests to there.
    pub(crate) fn about_request(&self, host: &Host, door: Door) -> Vec<usize> {
        self.matching(|it| it.rule.matches_request(host, door))
    }

    fn matching(&self, matches: impl Fn(&Rule) -> bool) -> Vec<usize> {
        (0..self.rules.len()).filter(|&index| matches(&self.rules[index])).collect()
    }

    fn texts(&self, rules: &[usize]) -> Vec<String> {
        rules.iter().map(|&rule| self.rules[rule].rule.text().to_owned()).collect()
    }

    /// The line of policy that asks; of several the first.
    pub(crate) fn line(&self, rules: &[usize]) -> &str {
        rules.first().map_or("`ask`", |&rule| &self.rules[rule].line)
    }
}

/// What was asked about one call, over all of its runs.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) pauses: Arc<Pauses>,
    /// Held while a request is asked about: a call has one question at a time.
    asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// Answers of one call that are kept.
const MOST_KEPT: usize = 1000;

#[derive(Default)]
struct State {
    /// The changes that somebody has agreed to.
    agreed: Option<[u8; 32]>,
    /// Digests of the requests that somebody has agreed to, by their place among those of a run that were asked about. A run that was
    /// stopped before its first effect is run again, and does not ask again about the same.
    requests: BTreeMap<usize, [u8; 32]>,
    /// What was said instead of yes. It holds for all that the call still asks about: whoever has said no is not to be
    /// asked until they are tired of it.
    refused: Option<Said>,
    said: Vec<AskedRule>,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Yes,
    No(Option<String>),
    /// There was nobody to ask.
    Nobody,
}

impl Said {
    /// As the audit log has it.
    pub(crate) fn answer(&self) -> &'static str {
        match self {
            Said::Yes => "yes",
            Said::No(_) => "no",
            Said::Nobody => "nobody",
        }
    }
}

impl Asked {
    /// For the audit log: every rule that asked, and the answer.
    pub(crate) fn said(&self) -> Vec<AskedRule> {
        self.state().said.clone()
    }

    /// Whether somebody has agreed to the very same before.
    pub(crate) fn is_agreed(&self, digest: Option<[u8; 32]>) -> bool {
        digest.is_some() && self.state().agreed == digest
    }

    pub(crate) fn agree(&self, digest: Option<[u8; 32]>) {
        self.state().agreed = digest;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and keeps what was said.
    pub(crate) async fn ask(
        &self,
        approver: Option<&Arc<dyn Approver>>,
        question: Question,
    ) -> Said {
        let rules: Vec<String> = question.calls.iter().flat_map(|it| it.rules.clone()).collect();
        // Until there is an answer, and if there is none.
        let from = self.keep(&rules, "cancelled");
        let said = ask_person(approver, question).await;
        let answer = said.answer();
        for asked in self.state().said.iter_mut().skip(from).take(rules.len()) {
            asked.answer = answer;
        }
        said
    }

    fn keep(&self, rules: &[String], answer: &'static str) -> usize {
        let mut state = self.state();
        let from = state.said.len();
        let asked = rules.iter().map(|rule| AskedRule { rule: rule.clone(), answer });
        state.said.extend(asked.take(MOST_KEPT.saturating_sub(from)));
        from
    }
}

/// A call, for a question about it.
pub(crate) struct Asking {
    pub(crate) asks: Arc<Asks>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) index: usize,
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: String,
}

impl Asking {
    pub(crate) fn call(&self, rules: &[usize]) -> AskedCall {
        AskedCall {
            index: self.index,
            id: self.id.clone(),
            tool: self.tool.clone(),
            plugin: self.asks.plugin.clone(),
            arguments: self.arguments.clone(),
            rules: self.asks.texts(rules),
        }
    }

    /// Asks about changes of files.
    pub(crate) async fn files(&self, rules: &[usize], changes: Vec<Change>, diff: String) -> Said {
        let about = About::Files { changes, diff };
        let question = Question { calls: vec![self.call(rules)], about };
        self.asked.ask(self.approver.as_ref(), question).await
    }

    /// Asks about a request, the one of this number among those of its run that are asked about. `come` resolves when it
    /// might be sent.
    ///
    /// # Errors
    /// It is not to be sent, and why.
    pub(crate) async fn request(
        &self,
        number: usize,
        sending: Sending,
        come: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let rules = self.asks.about_request(&sending.host, sending.door);
        come.await;
        let _one = self.asked.asking.lock().await;
        let digest = requested::digest(&sending);
        let known = {
            let state = self.asked.state();
            let agreed = digest.is_some() && state.requests.get(&number) == digest.as_ref();
            state.refused.clone().or(agreed.then_some(Said::Yes))
        };
        let said = match known {
            Some(said) => said,
            None => {
                let _pause = self.asked.pauses.begin();
                let about = requested::about(sending);
                let question = Question { calls: vec![self.call(&rules)], about };
                let said = self.asked.ask(self.approver.as_ref(), question).await;
                let mut state = self.asked.state();
                match (&said, digest) {
                    (Said::Yes, Some(digest)) if state.requests.len() < MOST_KEPT => {
                        state.requests.insert(number, digest);
                    }
                    (Said::Yes, _) => {}
                    _ => state.refused = Some(said.clone()),
                }
                said
            }
        };
        match why(&said, self.asks.line(&rules)) {
            None => Ok(()),
            Some(why) => Err(why),
        }
    }

    /// What the call ends with whose changes were refused.
    pub(crate) fn refusal(&self, rules: &[usize], changes: &[Change], said: &Said) -> CallError {
        let why = why(said, self.asks.line(rules)).unwrap_or_default();
        let message = format!("nothing that it did to files ({}) was done: {why}", some(changes));
        CallError::new(ErrorKind::Denied, message)
    }
}

/// Why something was not done, and what would help. None if it was agreed to.
pub(crate) fn why(said: &Said, line: &str) -> Option<String> {
    match said {
        Said::Yes => None,
        Said::No(None) => Some(format!("it is asked about first ({line}), and the answer was no")),
        Said::No(Some(because)) => {
            Some(format!("it is asked about first ({line}), and the answer was no: {because}"))
        }
        Said::Nobody => Some(format!(
            "it is asked about first ({line}), and there was nobody to ask: run it at a terminal, or from an MCP client that \
             can ask its user (elicitation)"
        )),
    }
}

/// The first few of what is changed, each once.
fn some(changes: &[Change]) -> String {
    const MOST: usize = 3;
    let mut known = HashSet::new();
    let paths: Vec<&str> =
        changes.iter().map(Change::path).filter(|path| known.insert(*path)).collect();
    let first: Vec<String> = paths.iter().take(MOST).map(|path| format!("{path:?}")).collect();
    match paths.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Asks in a task of its own: whoever decides may block its thread, or panic.
pub(crate) async fn ask_person(approver: Option<&Arc<dyn Approver>>, question: Question) -> Said {
    let Some(approver) = approver.cloned() else { return Said::Nobody };
    let mut asking = JoinSet::new();
    asking.spawn(async move { approver.decide(&question).await });
    match asking.join_next().await {
        Some(Ok(Decision::Yes)) => Said::Yes,
        Some(Ok(Decision::No { because })) => Said::No(because),
        Some(Err(error)) => {
            tracing::error!(%error, "whoever was asked has failed");
            Said::No(Some("whoever was asked has failed".to_owned()))
        }
        None => Said::Nobody,
    }
}
