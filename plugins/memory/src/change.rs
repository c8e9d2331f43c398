//! Adds to a graph and takes from it, by the rules of the reference server. Knows no files.
//!
//! Different from there: what stands twice in one request is added once, as if it had come in two.

use crate::graph::{Added, Addition, Deletion, Entity, Relation};
use crate::line::{self, Graph};

pub fn create_entities(graph: &mut Graph, entities: Vec<Entity>) -> Vec<Entity> {
    let mut new = Vec::new();
    for entity in entities {
        if graph.entities.iter().any(|known| known.name == entity.name) {
            continue;
        }
        graph.entities.push(line::Entity {
            name: entity.name.clone(),
            entity_type: entity.entity_type.clone(),
            observations: entity.observations.clone(),
            more: Default::default(),
        });
        new.push(entity);
    }
    new
}

pub fn create_relations(graph: &mut Graph, relations: Vec<Relation>) -> Vec<Relation> {
    let mut new = Vec::new();
    for relation in relations {
        if graph.relations.iter().any(|known| same(known, &relation)) {
            continue;
        }
        graph.relations.push(line::Relation {
            from: relation.from.clone(),
            to: relation.to.clone(),
            relation_type: relation.relation_type.clone(),
            more: Default::default(),
        });
        new.push(relation);
    }
    new
}

pub fn add_observations(graph: &mut Graph, additions: Vec<Addition>) -> Result<Vec<Added>, String> {
    let mut answer = Vec::new();
    for Addition { entity_name, contents } in additions {
        let Some(entity) = graph.entities.iter_mut().find(|it| it.name == entity_name) else {
            return Err(format!(
                "Entity with name {entity_name} not found: create it with create_entities, or find its exact name with \
                 search_nodes"
            ));
        };
        let mut added_observations = Vec::new();
        for content in contents {
            if !entity.observations.contains(&content) {
                entity.observations.push(content.clone());
                added_observations.push(content);
            }
        }
        answer.push(Added { entity_name, added_observations });
    }
    Ok(answer)
}

pub fn delete_entities(graph: &mut Graph, names: &[String]) {
    graph.entities.retain(|entity| !names.contains(&entity.name));
    graph.relations.retain(|it| !names.contains(&it.from) && !names.contains(&it.to));
}

pub fn delete_observations(graph: &mut Graph, deletions: &[Deletion]) {
    for deletion in deletions {
        // The first of the name, as everywhere: a file of another's making may have two.
        let entity = graph.entities.iter_mut().find(|it| it.name == deletion.entity_name);
        if let Some(entity) = entity {
            entity.observations.retain(|it| !deletion.observations.contains(it));
        }
    }
}

pub fn delete_relations(graph: &mut Graph, relations: &[Relation]) {
    graph.relations.retain(|known| !relations.iter().any(|it| same(known, it)));
}

fn same(known: &line::Relation, other: &Relation) -> bool {
    (&known.from, &known.to, &known.relation_type) == (&other.from, &other.to, &other.relation_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(name: &str, observations: &[&str]) -> Entity {
        let observations = observations.iter().map(|it| (*it).to_owned()).collect();
        Entity { name: name.into(), entity_type: "person".into(), observations }
    }

    fn relation(from: &str, to: &str) -> Relation {
        Relation { from: from.into(), to: to.into(), relation_type: "knows".into() }
    }

    fn addition(name: &str, contents: &[&str]) -> Addition {
        let contents = contents.iter().map(|it| (*it).to_owned()).collect();
        Addition { entity_name: name.into(), contents }
    }

    fn graph() -> Graph {
        let mut graph = Graph::default();
        create_entities(&mut graph, vec![entity("a", &["x"]), entity("b", &[])]);
        create_relations(&mut graph, vec![relation("a", "b"), relation("b", "c")]);
        graph
    }

    #[test]
    fn what_is_known_is_not_added_again() {
        let mut graph = graph();
        let new = vec![entity("a", &["other"]), entity("c", &[]), entity("c", &["again"])];
        assert_eq!(create_entities(&mut graph, new), [entity("c", &[])]);
        assert_eq!(graph.entities[0].observations, ["x"]);
        let new = vec![relation("a", "b"), relation("b", "a"), relation("b", "a")];
        assert_eq!(create_relations(&mut graph, new), [relation("b", "a")]);
        let added =
            add_observations(&mut graph, vec![addition("a", &["x", "y", "y"])]).expect("a exists");
        assert_eq!(added[0].added_observations, ["y"]);
        assert_eq!(graph.entities[0].observations, ["x", "y"]);
    }

    #[test]
    fn facts_of_an_entity_that_does_not_exist_are_an_error() {
        let error = add_observations(&mut graph(), vec![addition("A", &["x"])]).unwrap_err();
        assert!(error.starts_with("Entity with name A not found"), "{error}");
    }

    #[test]
    fn an_entity_goes_with_its_relations() {
        let mut graph = graph();
        delete_entities(&mut graph, &["a".into(), "nobody".into()]);
        assert_eq!(graph.entities.len(), 1);
        assert_eq!(graph.relations[0].to, "c");
        assert_eq!(graph.relations.len(), 1);
    }

    #[test]
    fn facts_and_relations_are_forgotten_one_by_one() {
        let mut graph = graph();
        let forget =
            |name: &str| Deletion { entity_name: name.into(), observations: vec!["x".into()] };
        delete_observations(&mut graph, &[forget("a"), forget("nobody")]);
        assert!(graph.entities[0].observations.is_empty());
        delete_relations(&mut graph, &[relation("a", "b"), relation("x", "y")]);
        assert_eq!(graph.relations.len(), 1);
    }
}
