//! Several documents made one: tables are joined, arrays of tables follow one another, and a value
//! that stands in two files is an error.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::findings::{Fault, Findings};
use super::texts::Text;
use super::walk::join;

/// Adds a document to those before it.
pub(super) fn merge<'t>(
    into: &mut DeTable<'t>,
    document: DeTable<'t>,
    path: &str,
    texts: &[Text],
    findings: &Findings,
) {
    for (key, value) in document {
        let name: &str = key.get_ref();
        let path = join(path, name);
        let earlier = into.get_key_value(name).map(|(key, _)| key.span().start);
        let Some(earlier) = earlier else {
            into.insert(key, value);
            continue;
        };
        let Some(there) = into.get_mut(name) else { continue };
        match (there.get_mut(), value.into_inner()) {
            (DeValue::Table(there), DeValue::Table(more)) => {
                merge(there, more, &path, texts, findings);
            }
            (DeValue::Array(there), DeValue::Array(more))
                if of_tables(there) && of_tables(&more) =>
            {
                more.into_iter().for_each(|element| there.push(element));
            }
            _ => {
                let text = texts.iter().find(|text| text.places().contains(&earlier));
                let place =
                    text.map_or_else(String::new, |t| format!(" after {}", t.place(earlier)));
                findings.fault(Fault {
                    at: key.span().start,
                    key: Some(path),
                    found: format!("the key a second time{place}"),
                    allowed: "each key once in all files".to_owned(),
                    meant: None,
                    absence: false,
                    syntax: false,
                });
            }
        }
    }
}

fn of_tables(array: &DeArray<'_>) -> bool {
    array.iter().all(|element| matches!(element.get_ref(), DeValue::Table(_)))
}

/// A document with its places moved up.
pub(super) fn moved<'t>(document: DeTable<'t>, base: usize) -> DeTable<'t> {
    let entry = |(key, value): (Spanned<_>, _)| {
        (moved_one(key, base, |key| key), {
            moved_one(value, base, |value| moved_value(value, base))
        })
    };
    document.into_iter().map(entry).collect()
}

fn moved_value(value: DeValue<'_>, base: usize) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(moved(table, base)),
        DeValue::Array(array) => {
            let element = |element| moved_one(element, base, |value| moved_value(value, base));
            DeValue::Array(array.into_iter().map(element).collect())
        }
        other => other,
    }
}

fn moved_one<T>(spanned: Spanned<T>, base: usize, inner: impl FnOnce(T) -> T) -> Spanned<T> {
    let span = spanned.span();
    Spanned::new(span.start + base..span.end + base, inner(spanned.into_inner()))
}
