//! Keeps `src/generated/tag_ranges.rs` equal to what `tag_codepoints.json` gives.
//!
//! `INGESTRY_CODEGEN=write cargo test -p ingest-entry --test codegen` writes the file anew.

use std::fmt::Write as _;
use std::path::Path;

fn render(json: &serde_json::Value) -> String {
    let version = json["unicode_version"].as_str().expect("unicode_version");
    let ranges: Vec<(u64, u64)> = json["allowed_ranges_inclusive"]
        .as_array()
        .expect("allowed_ranges_inclusive")
        .iter()
        .map(|pair| (pair[0].as_u64().expect("first"), pair[1].as_u64().expect("last")))
        .filter(|&(_, last)| last >= 0x80)
        .collect();
    let mut text = format!(
        "//! Code points from U+0080 on that a tag name may hold, by Unicode {version}.\n\
         //!\n\
         //! Generated from `testdata/vectors/gravwell/tag_codepoints.json` by `tests/codegen.rs`;\n\
         //! do not edit.\n\
         \n\
         /// The Unicode version of the table.\n\
         #[cfg(test)]\n\
         pub(crate) const UNICODE_VERSION: &str = \"{version}\";\n\
         \n\
         /// First and last code point of each range, in rising order.\n\
         #[rustfmt::skip]\n\
         pub(crate) static TAG_RANGES: [(u32, u32); {}] = [\n",
        ranges.len()
    );
    for line in ranges.chunks(5) {
        let items: Vec<String> =
            line.iter().map(|(first, last)| format!("({first:#x}, {last:#x}),")).collect();
        writeln!(text, "    {}", items.join(" ")).expect("a string takes all");
    }
    text.push_str("];\n");
    text
}

#[test]
fn the_table_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("../../testdata/vectors/gravwell/tag_codepoints.json");
    let target = root.join("src/generated/tag_ranges.rs");
    let Ok(json) = std::fs::read_to_string(&source) else {
        println!("absent: {}", source.display());
        return;
    };
    let text = render(&serde_json::from_str(&json).expect("tag_codepoints.json is JSON"));
    if std::env::var("INGESTRY_CODEGEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(&target, &text).expect("the table can be written");
    }
    let current = std::fs::read_to_string(&target).expect("the table is there");
    assert!(current == text, "{} is out of date: see tests/codegen.rs", target.display());
}
