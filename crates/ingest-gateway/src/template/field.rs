//! What items bring, by the name that it has in a template.

/// The most parts of a path that can be told apart.
const MAX_PARTS: usize = 100;

/// A field that a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// `path`: the whole path of a point, without tags.
    Path,
    /// `path.N`: a part of it, counted from 0.
    PathPart(usize),
    /// `tag.NAME`: the value of a tag of a tagged series; that of `name` is its name.
    Tag(String),
    /// `key`: the routing key of a message.
    Key,
    /// `key.N`: a part of it, counted from 0.
    KeyPart(usize),
    /// `topic`: the topic that a request names.
    Topic,
    /// `header.NAME`: what a request says under a name.
    Header(String),
    /// `app`: an application's GUID.
    App,
    /// `app_name`: its name.
    AppName,
    /// `space`: the space's name, else its GUID.
    Space,
    /// `org`: the organization's name, else its GUID.
    Org,
    /// `source_type`: what sent a message, such as `APP` or `RTR`.
    SourceType,
}

/// What items of a kind can bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the field of its name")]
pub enum Known {
    Path,
    PathPart,
    Tag,
    Key,
    KeyPart,
    Topic,
    Header,
    App,
    AppName,
    Space,
    Org,
    SourceType,
}

impl Known {
    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::PathPart => "path.N",
            Self::Tag => "tag.NAME",
            Self::Key => "key",
            Self::KeyPart => "key.N",
            Self::Topic => "topic",
            Self::Header => "header.NAME",
            Self::App => "app",
            Self::AppName => "app_name",
            Self::Space => "space",
            Self::Org => "org",
            Self::SourceType => "source_type",
        }
    }
}

impl Field {
    /// The field of a name, if it is among the known ones.
    pub(super) fn of(name: &str, known: &[Known]) -> Option<Self> {
        known.iter().find_map(|known| Self::as_known(name, *known))
    }

    fn as_known(name: &str, known: Known) -> Option<Self> {
        let word = known.as_str();
        let Some((prefix, what)) = word.split_once('.') else {
            return (name == word).then_some(match known {
                Known::Path | Known::PathPart | Known::Tag => Self::Path,
                Known::Key | Known::KeyPart => Self::Key,
                Known::Topic | Known::Header => Self::Topic,
                Known::App => Self::App,
                Known::AppName => Self::AppName,
                Known::Space => Self::Space,
                Known::Org => Self::Org,
                Known::SourceType => Self::SourceType,
            });
        };
        let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
        if what == "NAME" {
            let made = if known == Known::Tag { Self::Tag } else { Self::Header };
            return (!rest.is_empty()).then(|| made(rest.to_owned()));
        }
        let digits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let part = rest.parse().ok().filter(|part| digits && *part < MAX_PARTS)?;
        Some(if known == Known::PathPart { Self::PathPart(part) } else { Self::KeyPart(part) })
    }
}
