//! The standard memory tools, as a component. This file only maps the exports of `wit/memory.wit` to what
//! does the work: `scope` finds the file, `store` reads and writes it (its lines are `line`'s), `change` and
//! `query` work on the graph in it, `rank` orders what a search finds.
//!
//! Two calls that change one scope at once are the host's care: each sees the file as the one before left it.

mod change;
mod line;
mod query;
mod rank;
mod scope;
mod store;

use bindings::exports::inorder::memory::graph;
use graph::{Added, Addition, Deletion, Entity, Found, Knowledge, Relation};

#[expect(unsafe_code, reason = "generated: the canonical ABI passes raw memory")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/memory.wit",
        world: "memory",
        additional_derives: [PartialEq],
    });
    use super::Memory;
    export!(Memory);
}

struct Memory;

impl graph::Guest for Memory {
    fn create_entities(
        entities: Vec<Entity>,
        scope: Option<String>,
    ) -> Result<Vec<Entity>, String> {
        store::change(scope.as_deref(), |graph| Ok(change::create_entities(graph, entities)))
    }

    fn create_relations(
        relations: Vec<Relation>,
        scope: Option<String>,
    ) -> Result<Vec<Relation>, String> {
        store::change(scope.as_deref(), |graph| Ok(change::create_relations(graph, relations)))
    }

    fn add_observations(
        observations: Vec<Addition>,
        scope: Option<String>,
    ) -> Result<Vec<Added>, String> {
        store::change(scope.as_deref(), |graph| change::add_observations(graph, observations))
    }

    fn delete_entities(entity_names: Vec<String>, scope: Option<String>) -> Result<String, String> {
        store::change(scope.as_deref(), |graph| {
            change::delete_entities(graph, &entity_names);
            Ok("Entities deleted successfully".into())
        })
    }

    fn delete_observations(
        deletions: Vec<Deletion>,
        scope: Option<String>,
    ) -> Result<String, String> {
        store::change(scope.as_deref(), |graph| {
            change::delete_observations(graph, &deletions);
            Ok("Observations deleted successfully".into())
        })
    }

    fn delete_relations(relations: Vec<Relation>, scope: Option<String>) -> Result<String, String> {
        store::change(scope.as_deref(), |graph| {
            change::delete_relations(graph, &relations);
            Ok("Relations deleted successfully".into())
        })
    }

    fn read_graph(scope: Option<String>) -> Result<Knowledge, String> {
        Ok(query::all(store::read(scope.as_deref())?))
    }

    fn search_nodes(
        query: String,
        scope: Option<String>,
        limit: Option<u32>,
    ) -> Result<Found, String> {
        Ok(query::search(store::read(scope.as_deref())?, &query, limit.unwrap_or(50) as usize))
    }

    fn open_nodes(names: Vec<String>, scope: Option<String>) -> Result<Knowledge, String> {
        Ok(query::open(store::read(scope.as_deref())?, &names))
    }
}
