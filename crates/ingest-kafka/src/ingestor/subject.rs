//! The schema that a request names.
#![cfg_attr(not(feature = "avro"), allow(dead_code, reason = "only Avro has a schema"))]

/// Bytes of the longest name.
const MAX: usize = 1024;
const VALUE: &str = "-value";
const KEY: &str = "-key";

/// A subject of a registry: `NAME`, `registry:NAME`, and with a version `NAME#VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Without an ending.
    name: String,
    /// `None`: the latest.
    version: Option<u32>,
}

impl Subject {
    /// Reads `hydra-schema`, or the topic's name.
    pub(super) fn read(location: &str) -> Result<Self, String> {
        if location.len() > MAX {
            return Err(format!("hydra-schema: more than {MAX} bytes."));
        }
        let subject = match location.split_once(':') {
            None => location,
            Some(("registry", subject)) if !subject.contains(':') => subject,
            Some((_, rest)) if rest.contains(':') => {
                return Err(format!("Unable to parse location {location}"));
            }
            Some((prefix, _)) => {
                return Err(format!(
                    "Schema '{location}' cannot be loaded. Cause: schemas come from the registry, \
                     and not by '{prefix}:'"
                ));
            }
        };
        let (name, version) = match subject.split_once('#') {
            None => (subject, None),
            Some((name, version)) => {
                let number = version.parse::<u32>().ok().filter(|number| *number > 0);
                let wrong = || format!("hydra-schema: '{version}' is no version of a schema.");
                (name, Some(number.ok_or_else(wrong)?))
            }
        };
        let name = name.strip_suffix(VALUE).unwrap_or(name);
        if name.is_empty() {
            return Err("hydra-schema: no name of a schema.".to_owned());
        }
        Ok(Self { name: name.to_owned(), version })
    }

    /// Of values.
    pub(super) fn value(&self) -> String {
        format!("{}{VALUE}", self.name)
    }

    /// Of keys.
    pub(super) fn key(&self) -> String {
        format!("{}{KEY}", self.name)
    }

    /// The version of the value's.
    pub(super) const fn version(&self) -> Option<u32> {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let read = |text: &str| Subject::read(text).unwrap();
        assert_eq!((read("t").value().as_str(), read("t").key().as_str()), ("t-value", "t-key"));
        assert_eq!(read("t-value"), read("t"));
        assert_eq!(read("registry:a.b#12"), Subject { name: "a.b".to_owned(), version: Some(12) });
        assert_eq!(read("a#1").version(), Some(1));
        for bad in ["", "-value", "#1", "a#", "a#0", "a#x", "a#1#2", "classpath:a", "a:b:c"] {
            assert!(Subject::read(bad).is_err(), "{bad}");
        }
        assert!(Subject::read(&"x".repeat(MAX + 1)).is_err());
    }
}
