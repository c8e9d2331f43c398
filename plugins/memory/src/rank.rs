//! Orders entities by how well they fit a query: BM25 over words, with names worth more than types and
//! those more than observations. Knows nothing of relations and files.
//!
//! Written out rather than taken from a library: those that there are bring stemmers of one language and
//! index what is searched once here.

use crate::line::Entity;

/// BM25's usual: how soon more of the same word stops to count, and how much long entities lose.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;

const NAME: f64 = 3.0;
const TYPE: f64 = 1.5;
const OBSERVATION: f64 = 1.0;

/// A word that only begins with the one that is looked for; below three letters too many do.
const PREFIX: f64 = 0.5;
const SHORTEST_PREFIX: usize = 3;

/// What the whole query as it stands adds: more than any words can, so that these entities come first.
const PHRASE: f64 = 1e3;
const PHRASE_IN_NAME: f64 = 1e4;
const WHOLE_NAME: f64 = 1e5;

struct Document {
    /// Each word with the weight of where it stands.
    words: Vec<(String, f64)>,
    length: f64,
    phrase: f64,
}

/// The places of the entities that fit, the best first; all of them, in order, for an empty query.
pub fn order(entities: &[Entity], query: &str) -> Vec<usize> {
    let phrase = query.trim().to_lowercase();
    if phrase.is_empty() {
        return (0..entities.len()).collect();
    }
    let mut terms = words(&phrase);
    terms.sort_unstable();
    terms.dedup();
    let documents: Vec<Document> =
        entities.iter().map(|entity| Document::new(entity, &phrase)).collect();
    let scores = scores(&documents, &terms);
    let mut places: Vec<usize> = (0..entities.len()).filter(|place| scores[*place] > 0.0).collect();
    // Stable: what fits equally well stays in the order in which it was remembered.
    places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    places
}

fn scores(documents: &[Document], terms: &[String]) -> Vec<f64> {
    let count = documents.len() as f64;
    let average = documents.iter().map(|it| it.length).sum::<f64>() / count.max(1.0);
    let mut scores: Vec<f64> = documents.iter().map(|it| it.phrase).collect();
    for term in terms {
        let found: Vec<f64> = documents.iter().map(|it| it.frequency(term)).collect();
        let having = found.iter().filter(|it| **it > 0.0).count() as f64;
        let rarity = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
        for ((score, found), document) in scores.iter_mut().zip(found).zip(documents) {
            let relative = if average > 0.0 { document.length / average } else { 1.0 };
            let dampened = SATURATION * (1.0 - LENGTH + LENGTH * relative);
            *score += rarity * found * (SATURATION + 1.0) / (found + dampened);
        }
    }
    scores
}

impl Document {
    fn new(entity: &Entity, phrase: &str) -> Document {
        let (name, kind) = (entity.name.to_lowercase(), entity.entity_type.to_lowercase());
        let facts: Vec<String> = entity.observations.iter().map(|it| it.to_lowercase()).collect();
        let has = |text: &str| text.contains(phrase);
        let phrase = if name == phrase {
            WHOLE_NAME
        } else if has(&name) {
            PHRASE_IN_NAME
        } else if has(&kind) || facts.iter().any(|it| has(it)) {
            PHRASE
        } else {
            0.0
        };
        let mut all = Vec::new();
        let weighted = [(name, NAME), (kind, TYPE)];
        let facts = facts.into_iter().map(|it| (it, OBSERVATION));
        for (text, weight) in weighted.into_iter().chain(facts) {
            all.extend(words(&text).into_iter().map(|word| (word, weight)));
        }
        let length = all.len() as f64;
        Document { words: all, length, phrase }
    }

    fn frequency(&self, term: &str) -> f64 {
        let prefixes = term.chars().count() >= SHORTEST_PREFIX;
        let weigh = |(word, weight): &(String, f64)| match word.strip_prefix(term) {
            Some("") => *weight,
            Some(_) if prefixes => weight * PREFIX,
            _ => 0.0,
        };
        self.words.iter().map(weigh).sum()
    }
}

/// The words of a text in lower case. Scripts that write no spaces have each character for a word.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() && !is_unspaced(letter) {
            word.push(letter);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            words.push(letter.to_string());
        }
    }
    words.extend(Some(word).filter(|it| !it.is_empty()));
    words
}

/// Han, kana, Thai, Lao and Khmer.
fn is_unspaced(letter: char) -> bool {
    matches!(letter as u32, 0x0e00..=0x0eff | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(entities: &[(&str, &str, &[&str])], query: &str) -> Vec<String> {
        let entities: Vec<Entity> = entities
            .iter()
            .map(|(name, kind, facts)| Entity {
                name: (*name).into(),
                entity_type: (*kind).into(),
                observations: facts.iter().map(|it| (*it).into()).collect(),
                more: Default::default(),
            })
            .collect();
        order(&entities, query).into_iter().map(|it| entities[it].name.clone()).collect()
    }

    #[test]
    fn what_the_reference_server_finds_is_found() {
        let entities: &[(&str, &str, &[&str])] = &[
            ("John_Smith", "person", &["Speaks fluent Spanish"]),
            ("Anthropic", "organization", &["Based in San Francisco"]),
        ];
        for (query, expected) in [
            ("SPANISH", "John_Smith"),
            ("uent spa", "John_Smith"),
            ("organ", "Anthropic"),
            ("n_S", "John_Smith"),
        ] {
            assert_eq!(ordered(entities, query), [expected], "{query}");
        }
        assert_eq!(ordered(entities, "").len(), 2);
        assert_eq!(ordered(entities, "paris"), [""; 0]);
    }

    #[test]
    fn rare_words_count_more_than_common_ones_and_names_more_than_facts() {
        let entities: &[(&str, &str, &[&str])] = &[
            ("one", "task", &["the build is slow"]),
            ("two", "task", &["the linker is slow"]),
            ("three", "task", &["the build of the docs"]),
            ("linker", "tool", &["mold"]),
        ];
        assert_eq!(ordered(entities, "slow linker"), ["two", "linker", "one"]);
        assert_eq!(ordered(entities, "linker")[0], "linker");
        assert_eq!(ordered(entities, "the docs")[0], "three");
    }

    #[test]
    fn the_beginning_of_a_word_finds_it_but_counts_less() {
        let entities: &[(&str, &str, &[&str])] =
            &[("a", "t", &["testing"]), ("b", "t", &["a test"]), ("c", "t", &["contest x"])];
        assert_eq!(ordered(entities, "test missing"), ["b", "a"]);
    }

    #[test]
    fn scripts_without_spaces_are_searched_by_character() {
        let entities: &[(&str, &str, &[&str])] =
            &[("京都", "都市", &["寺が多い"]), ("東京", "都市", &["首都"])];
        assert_eq!(ordered(entities, "東京"), ["東京", "京都"]);
        assert_eq!(words("straße 2の寺"), ["straße", "2", "の", "寺"]);
    }
}
