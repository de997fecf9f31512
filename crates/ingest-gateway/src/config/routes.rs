//! `[[routes]]`.

use super::choice::one_of;
use super::model::Route;
use super::walk::Node;
use crate::suggest::nearest;

const TAGS: &str = "an array of tag names such as [\"app-*\", \"graphite\"]";
const TAG_PATTERN: &str =
    "a tag name of letters, digits and # + - ? @ _, a trailing * for any ending";
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
        let mut route = Route { tags: Vec::new(), to: Vec::new() };
        for (text, node) in tags.unwrap_or_default() {
            match text.parse() {
                Ok(pattern) => route.tags.push(pattern),
                Err(_) => node.wrong(node.found(), TAG_PATTERN, None),
            }
        }
        for (name, node) in to.unwrap_or_default() {
            if let Some(names) = destinations
                && !names.contains(&name)
            {
                let names = || names.iter().map(String::as_str);
                let meant = nearest(&name, names()).map(str::to_owned);
                let found = format!("{}, which is no destination", node.found());
                node.dangling(found, one_of(names()), meant);
            } else if route.to.contains(&name) {
                node.warn(format!("\"{name}\" is named twice"));
            } else {
                route.to.push(name);
            }
        }
        routes.push(route);
    }
    routes
}
