//! `[[routes]]`.

use super::model::Route;
use super::patterns::{self, TAGS, is_known};
use super::walk::Node;

const TO: &str = "an array of names of destinations such as [\"store\"]";

/// Reads the routes; `destinations` are the names that they may lead to, when these are known.
pub(super) fn read(node: &Node<'_>, destinations: Option<&[String]>) -> Vec<Route> {
    let mut routes = Vec::new();
    for element in node.array("an array of tables, each written as [[routes]]").unwrap_or_default()
    {
        let Some(mut table) = element.table() else { continue };
        let tags = table.required("tags", TAGS).and_then(|node| node.strings(TAGS));
        let to = table.required("to", TO).and_then(|node| node.strings(TO));
        table.finish(&[]);
        let mut route = Route { tags: patterns::read(tags), to: Vec::new() };
        for (name, node) in to.unwrap_or_default() {
            if !destinations.is_none_or(|names| is_known(&name, &node, names, "destination")) {
                continue;
            }
            if route.to.contains(&name) {
                node.warn(format!("\"{name}\" is named twice"));
            } else {
                route.to.push(name);
            }
        }
        routes.push(route);
    }
    routes
}
