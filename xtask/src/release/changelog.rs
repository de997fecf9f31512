//! What the changelog says about a version.

use super::Verdict;
use crate::tidy::metadata::Metadata;

/// The section of the version, or the open one: every published crate has to be in it. What comes
/// back is the text of the tag.
pub(super) fn check(
    text: &str,
    version: &str,
    metadata: &Metadata,
    verdict: &mut Verdict,
) -> String {
    let of = |title: &str| section(text, "## ", |found| found.split(' ').next() == Some(title));
    let Some(section) = of(version).or_else(|| of("Unreleased")) else {
        verdict.fault(format!("CHANGELOG.md has no section \"{version}\" and none \"Unreleased\""));
        return String::new();
    };
    for package in metadata.published() {
        let lines = self::section(section, "### ", |title| title == package.name);
        if !lines.is_some_and(|lines| lines.contains("\n* ")) {
            verdict.fault(format!("CHANGELOG.md says nothing about {} {version}", package.name));
        }
    }
    let mut tag = format!("ingestry {version}\n");
    for line in section.lines().skip(1).take_while(|line| !line.starts_with("### ")) {
        tag.push_str(line);
        tag.push('\n');
    }
    tag.trim_end().to_owned()
}

/// From a heading to the next of its rank.
fn section<'t>(text: &'t str, mark: &str, is: impl Fn(&str) -> bool) -> Option<&'t str> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match (start, line.strip_prefix(mark)) {
            (Some(start), Some(_)) => return text.get(start..at),
            (None, Some(title)) if is(title.trim_end()) => start = Some(at),
            _ => {}
        }
        at += line.len();
    }
    text.get(start?..)
}

#[cfg(test)]
mod tests {
    use super::super::testing::metadata;
    use super::*;

    const TEXT: &str = "# Changelog\n\n## Unreleased\n\nWhat is new.\n\n### a\n* One.\n\n### b\n\
                        * Two.\n\n## 1.0.0 - 2026-01-31\n\n### a\n* Old.\n";

    fn checked(text: &str, version: &str) -> (String, Vec<String>) {
        let mut verdict = Verdict::default();
        let tag = check(text, version, &metadata(|_| {}), &mut verdict);
        (tag, verdict.faults)
    }

    #[test]
    fn every_crate_is_in_the_section() {
        let (tag, faults) = checked(TEXT, "1.2.3");
        assert_eq!((tag.as_str(), faults.len()), ("ingestry 1.2.3\n\nWhat is new.", 0));
        let (_, faults) = checked(TEXT, "1.0.0");
        assert_eq!(faults, ["CHANGELOG.md says nothing about b 1.0.0"]);
        let (_, faults) = checked(&TEXT.replace("* Two.", ""), "1.2.3");
        assert_eq!(faults, ["CHANGELOG.md says nothing about b 1.2.3"]);
        let (_, faults) = checked("# Changelog\n", "1.2.3");
        assert_eq!(faults.len(), 1);
    }
}
