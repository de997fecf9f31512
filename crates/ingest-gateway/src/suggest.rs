//! The nearest of a set of names: what a misspelt key or word was probably meant to be.

/// Names longer than this are never guessed at, so that the cost stays small on any input.
const LONGEST: usize = 64;

/// The candidate nearest to `given`, when one is near enough to be a slip of the fingers.
///
/// Upper and lower case, `_`, `-` and blanks count as the same. Otherwise at most one letter in
/// three may be missing, superfluous, wrong or swapped with its neighbour. Of several equally
/// near candidates the first wins.
pub(crate) fn nearest<'c>(
    given: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let wanted = fold(given)?;
    let mut best: Option<(usize, &'c str)> = None;
    for candidate in candidates {
        let Some(folded) = fold(candidate) else { continue };
        let limit = (wanted.len().max(folded.len()) / 3).max(1);
        if wanted.len().abs_diff(folded.len()) > limit {
            continue;
        }
        let distance = distance(&wanted, &folded);
        // A one-letter name is at distance 1 of every other: no evidence at all.
        let near = distance <= limit && distance < wanted.len().max(folded.len());
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower case without separators; `None` for what is empty or too long to guess at.
fn fold(name: &str) -> Option<Vec<char>> {
    if name.len() > LONGEST * 4 {
        return None;
    }
    let folded: Vec<char> = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    (!folded.is_empty() && folded.len() <= LONGEST).then_some(folded)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut left_a: Option<char> = None;
    for (i, &ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        let mut left = i + 1;
        row.push(left);
        let mut left_b: Option<char> = None;
        for (j, &cb) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let substitute = at(&last, j) + usize::from(ca != cb);
            let mut cell = substitute.min(at(&last, j + 1) + 1).min(left + 1);
            if left_a == Some(cb) && left_b == Some(ca) && j > 0 {
                cell = cell.min(at(&before, j - 1) + 1);
            }
            row.push(cell);
            left = cell;
            left_b = Some(cb);
        }
        before = std::mem::replace(&mut last, row);
        left_a = Some(ca);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn distances_are_the_textbook_ones() {
        assert_eq!(edits("", ""), 0);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("lisetn", "listen"), 1);
        assert_eq!(edits("ab", "ba"), 1);
        assert_eq!(edits("abcd", "badc"), 2);
    }

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let keys = ["listen", "tag", "values", "read_ahead", "max_line"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("Listen", keys), Some("listen"));
        assert_eq!(nearest("readahead", keys), Some("read_ahead"));
        assert_eq!(nearest("read-ahead", keys), Some("read_ahead"));
        assert_eq!(nearest("max_lines", keys), Some("max_line"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"l".repeat(100_000), keys), None);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(nearest("bbt", ["bat", "bit"]), Some("bat"));
    }
}
