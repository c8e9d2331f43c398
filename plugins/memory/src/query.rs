//! Answers from a graph: all of it, by name, or by words. How well an entity fits is `rank`'s.

use std::collections::HashSet;

use crate::graph::{Entity, Found, Knowledge, Relation};
use crate::line::{self, Graph};
use crate::rank;

pub fn all(graph: Graph) -> Knowledge {
    Knowledge {
        entities: graph.entities.into_iter().map(entity).collect(),
        relations: graph.relations.into_iter().map(relation).collect(),
    }
}

/// In the order of the file, whatever the order of the names.
pub fn open(graph: Graph, names: &[String]) -> Knowledge {
    let named = graph.entities.into_iter().filter(|it| names.contains(&it.name));
    let entities: Vec<Entity> = named.map(entity).collect();
    let relations = touching(graph.relations, &entities);
    Knowledge { entities, relations }
}

pub fn search(graph: Graph, query: &str, limit: usize) -> Found {
    let order = rank::order(&graph.entities, query);
    let total = u32::try_from(order.len()).unwrap_or(u32::MAX);
    let mut known: Vec<Option<line::Entity>> = graph.entities.into_iter().map(Some).collect();
    let best = order.into_iter().take(limit).filter_map(|place| known[place].take());
    let entities: Vec<Entity> = best.map(entity).collect();
    let relations = touching(graph.relations, &entities);
    Found { entities, relations, total }
}

/// The relations of which one end at least is among the entities: the other end is how a model finds
/// out what else there is.
fn touching(relations: Vec<line::Relation>, entities: &[Entity]) -> Vec<Relation> {
    let names: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
    let touches = |it: &line::Relation| names.contains(&*it.from) || names.contains(&*it.to);
    relations.into_iter().filter(touches).map(relation).collect()
}

fn entity(it: line::Entity) -> Entity {
    Entity { name: it.name, entity_type: it.entity_type, observations: it.observations }
}

fn relation(it: line::Relation) -> Relation {
    Relation { from: it.from, to: it.to, relation_type: it.relation_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type":"entity","name":"a","entityType":"t","observations":["red fox"]}
{"type":"entity","name":"b","entityType":"t","observations":["red"]}
{"type":"entity","name":"c","entityType":"t","observations":["fox fox"]}
{"type":"relation","from":"a","to":"x","relationType":"r"}
{"type":"relation","from":"b","to":"c","relationType":"r"}"#;

    fn graph() -> Graph {
        Graph::parse(TEXT).expect("a graph")
    }

    fn names(entities: &[Entity]) -> String {
        entities.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn relations_come_with_either_end() {
        let opened = open(graph(), &["c".into(), "a".into(), "nobody".into()]);
        assert_eq!(names(&opened.entities), "ac");
        assert_eq!(opened.relations.len(), 2);
        assert_eq!(open(graph(), &["b".into()]).relations.len(), 1);
        assert_eq!(names(&all(graph()).entities), "abc");
    }

    #[test]
    fn a_search_tells_how_many_it_left_out() {
        let found = search(graph(), "red fox", 1);
        assert_eq!((names(&found.entities).as_str(), found.total), ("a", 3));
        assert_eq!(found.relations.len(), 1);
        assert_eq!(search(graph(), "", 50).total, 3);
        assert_eq!(
            search(graph(), "bird", 50),
            Found { entities: vec![], relations: vec![], total: 0 }
        );
    }
}
