//! Lists of the servers of a destination.

use std::fmt::Display;
use std::str::FromStr;

use super::walk::Node;

/// The servers of a list. `allowed`: what can stand there; `once`: that none comes twice, in words;
/// `lacks`: what one of them lacks that could be read.
pub(super) fn read<T: FromStr + PartialEq>(
    node: &Node<'_>,
    most: usize,
    allowed: &str,
    once: &str,
    lacks: impl Fn(&T) -> Option<&'static str>,
) -> Option<Vec<T>>
where
    T::Err: Display,
{
    let texts = node.strings(allowed)?;
    if texts.len() > most {
        node.wrong(format!("{} targets", texts.len()), format!("at most {most}"), None);
        return None;
    }
    let mut targets: Vec<T> = Vec::with_capacity(texts.len());
    let mut complete = true;
    let mut wrong = |node: &Node<'_>, why: &dyn Display, allowed: &str| {
        node.wrong(format!("{} {why}", node.found()), allowed, None);
        complete = false;
    };
    for (text, node) in texts {
        match text.parse::<T>() {
            Ok(target) if targets.contains(&target) => wrong(&node, &"a second time", once),
            Ok(target) => match lacks(&target) {
                Some(lack) => wrong(&node, &format_args!("({lack})"), allowed),
                None => targets.push(target),
            },
            Err(error) => wrong(&node, &format_args!("({error})"), allowed),
        }
    }
    complete.then_some(targets)
}
