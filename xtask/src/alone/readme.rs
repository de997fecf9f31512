//! What a README tells its reader to write: dependencies, and programs.

/// A program of a README.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// Where it begins, counted from 1.
    pub(super) line: usize,
    /// As a file of its own.
    pub(super) code: String,
    /// Whether it can be run, or is to be built only.
    pub(super) run: bool,
    /// The features that it says it needs: `<!-- needs: client -->` on the line before it.
    pub(super) needs: Vec<String>,
}

/// The blocks between fences: the line that they begin on, what stands behind the fence, their text,
/// and the line before them.
fn blocks(readme: &str) -> Vec<(usize, &str, String, &str)> {
    let mut blocks = Vec::new();
    let (mut before, mut open) = ("", None::<(usize, &str, String, &str)>);
    for (index, line) in readme.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((index + 1, info.trim(), String::new(), before)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, _, text, _)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
        before = line;
    }
    blocks
}

/// The programs, as rustdoc would test them.
pub(super) fn examples(readme: &str) -> Vec<Example> {
    let rust = |info: &str| {
        info.split(',').all(|word| matches!(word.trim(), "" | "rust" | "no_run" | "should_panic"))
    };
    let blocks = blocks(readme).into_iter().filter(|(_, info, _, _)| rust(info));
    let example = |(line, info, text, before): (usize, &str, String, &str)| {
        let needs = before
            .trim()
            .strip_prefix("<!-- needs:")
            .and_then(|rest| rest.strip_suffix("-->"))
            .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default();
        Example { line, code: program(&text), run: !info.contains("no_run"), needs }
    };
    blocks.map(example).collect()
}

/// The text of the first block of TOML: what goes into the reader's manifest.
pub(super) fn manifest(readme: &str) -> Option<String> {
    let block = blocks(readme).into_iter().find(|(_, info, _, _)| *info == "toml");
    block.map(|(_, _, text, _)| text)
}

/// Shows the lines that rustdoc hides, and puts a `main` around what has none.
fn program(text: &str) -> String {
    let shown = text.lines().map(|line| {
        let hidden = line.trim_start().strip_prefix("# ");
        hidden.or_else(|| (line.trim() == "#").then_some("")).unwrap_or(line)
    });
    let code: String = shown.map(|line| format!("{line}\n")).collect();
    if code.contains("fn main()") { code } else { format!("fn main() {{\n{code}}}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# a\n\n```toml\n[dependencies]\na = \"1\"\n```\n\n```\n# use a::A;\nlet a = 1;\n```\n\
        <!-- needs: client, tls -->\n```no_run\n# #[x]\nfn main() {}\n```\n```sh\ncargo run\n```\n";

    #[test]
    fn programs_are_found() {
        let found = examples(README);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert_eq!(found[0].code, "fn main() {\nuse a::A;\nlet a = 1;\n}\n");
        assert_eq!((found[0].line, found[0].run, found[0].needs.len()), (8, true, 0));
        assert_eq!(found[1].code, "#[x]\nfn main() {}\n");
        assert_eq!((found[1].line, found[1].run), (13, false));
        assert_eq!(found[1].needs, ["client", "tls"]);
    }

    #[test]
    fn the_manifest_is_the_first_block_of_toml() {
        assert_eq!(manifest(README).as_deref(), Some("[dependencies]\na = \"1\"\n"));
        assert_eq!(manifest("```\nx\n```\n"), None);
        assert_eq!(manifest("```toml\nnever closed\n"), None);
    }
}
