//! The target `stored`: the bodies of log records that are not entries.

use ingest_entry::stored::{Definition, Summary, Table, TableRef, definitions};

/// Decodes the bytes as definitions, as a table and as a summary: the lengths of what was found.
///
/// What was read is written and read again as the same, and nothing reads beyond its bytes.
pub fn stored(input: &[u8]) -> Vec<usize> {
    super::within(64 * input.len() + 8192, || {
        let mut seen = Vec::new();
        for definition in definitions(input) {
            match definition {
                Ok(definition) => {
                    again(&definition);
                    seen.push(definition.encoded_len());
                }
                Err(error) => assert!(error.offset() <= input.len(), "{error}"),
            }
        }
        if let Ok(table) = TableRef::decode(input) {
            let found = table.definitions().count();
            assert!(found <= table.len() && (found == 0 || !table.is_empty()));
        }
        if let Ok(table) = Table::decode(input) {
            let mut out = Vec::new();
            table.encode(&mut out);
            assert_eq!(out.len(), table.encoded_len());
            assert_eq!(Table::decode(&out).unwrap(), table);
            for (id, name) in table.tags() {
                assert_eq!(table.tag_id(name.as_str()), Some(id));
            }
        }
        match Summary::decode(input) {
            Ok(summary) => {
                let mut out = Vec::new();
                summary.encode(&mut out);
                assert_eq!(out.len(), summary.encoded_len());
                assert_eq!(out.len(), input.len());
                assert_eq!(Summary::decode(&out).unwrap(), summary);
            }
            Err(error) => assert!(error.offset() <= input.len(), "{error}"),
        }
        seen
    })
}

fn again(definition: &Definition<'_>) {
    let mut out = Vec::new();
    definition.encode(&mut out).unwrap();
    assert_eq!(out.len(), definition.encoded_len());
    assert_eq!(definitions(&out).next(), Some(Ok(*definition)));
}
