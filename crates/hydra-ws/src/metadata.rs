//! What a session knows about the payloads that it sends.

/// Names and values, in the order in which the names came first.
///
/// Names are looked up in any case; `-` and `_` are different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    list: Vec<(Box<str>, Box<str>)>,
    bytes: usize,
}

impl Metadata {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// Sets a name as it is spelt. One that is there keeps its place.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.list.iter_mut().find(|(have, _)| **have == *name) {
            Some((_, have)) => {
                self.bytes = self.bytes - have.len() + value.len();
                *have = value.into();
            }
            None => {
                self.bytes += name.len() + value.len();
                self.list.push((name.into(), value.into()));
            }
        }
    }

    /// Bytes of all names and values, if this one were set.
    #[must_use]
    pub fn bytes_with(&self, name: &str, value: &str) -> usize {
        match self.list.iter().find(|(have, _)| **have == *name) {
            Some((_, have)) => self.bytes - have.len() + value.len(),
            None => self.bytes + name.len() + value.len(),
        }
    }

    /// Whether the name is there, spelt like this.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.list.iter().any(|(have, _)| **have == *name)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Names with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_set_again_keeps_its_place() {
        let mut metadata = Metadata::default();
        metadata.set("A", "1");
        metadata.set("B", "2");
        metadata.set("A", "three");
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("A", "three"), ("B", "2")]);
        assert_eq!(metadata.get("a"), Some("three"));
        assert_eq!(metadata.bytes_with("B", ""), 7);
        assert_eq!(metadata.bytes_with("CC", "x"), 11);
        assert!(metadata.contains("A") && !metadata.contains("a"));
    }

    #[test]
    fn dashes_are_not_underscores() {
        let mut metadata = Metadata::default();
        metadata.set("HYDRA-KAFKA_TOPIC", "t");
        assert_eq!(metadata.get("hydra-kafka-topic"), None);
        assert_eq!(metadata.get("hydra-kafka_topic"), Some("t"));
    }
}
