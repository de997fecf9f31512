//! Records of Kafka as entries. What our own destination wrote comes back as it was; of any other
//! record the value is the data, and the time is the record's.

use ingest_entry::{EntryRef, Limits, Source, TagId, TagName, Timestamp, Values, ValuesRef};

use super::graphite;
use crate::config::{KafkaDecoding, KafkaTime, KafkaValues};

/// Header of a record whose value is a whole entry: its tag.
pub const ENTRY: &str = "ingestry.entry";
/// Header of a record whose value is the data of an entry: `TAG TIME SOURCE`, as the three below have
/// them; `-` where there is no such time, and nothing where there is no source.
pub const DATA: &str = "ingestry.data";
/// Header of a record whose value is the data of an entry: its tag.
pub const TAG: &str = "ingestry.tag";
/// Header: the entry's stable id, `LOG.EPOCH.LSN` in hexadecimal digits.
pub const ID: &str = "ingestry.id";
/// Header: the entry's time, `SECONDS.NANOSECONDS` since the Unix epoch.
pub const TIMESTAMP: &str = "ingestry.timestamp";
/// Header: the entry's source, an address.
pub const SOURCE: &str = "ingestry.source";
/// Header of a record whose value is the data of an entry: its enumerated values, as the log has
/// them.
pub const VALUES: &str = "ingestry.values";

/// Why a record is refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It says that it is an entry, or has to be one, and is none.
    BadEntry,
    /// It brings a name that no tag has.
    BadTag,
    /// Records have brought too many tags.
    TooManyTags,
    /// It has no value: a tombstone.
    Tombstone,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::BadEntry, Self::BadTag, Self::TooManyTags, Self::Tombstone];

    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadEntry => "bad_entry",
            Self::BadTag => "bad_tag",
            Self::TooManyTags => "too_many_tags",
            Self::Tombstone => "tombstone",
        }
    }

    /// Its place in [`reasons`].
    #[must_use]
    pub fn index(self) -> usize {
        let at = Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0);
        OURS.len() + at
    }
}

/// What all sources may refuse an item for.
const OURS: [graphite::Refusal; 3] =
    [graphite::Refusal::EntryLimit, graphite::Refusal::LogRefused, graphite::Refusal::Rule];

/// The place in [`reasons`] of what the log says.
#[must_use]
pub fn index(refusal: graphite::Refusal) -> usize {
    OURS.iter().position(|one| *one == refusal).unwrap_or(0)
}

/// Every reason for which a record is refused.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    let ours = OURS.iter().map(|one| one.as_str());
    ours.chain(Refusal::ALL.iter().map(|one| one.as_str())).collect()
}

/// A record, as far as an entry is made of it.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// What [`Headers::of`] found.
    pub headers: Headers<'a>,
}

/// Those of our headers that a record has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    entry: Option<&'a [u8]>,
    tag: Option<&'a [u8]>,
    timestamp: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
    values: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// Looks for them.
    pub fn of(all: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in all.filter(|(name, _)| name.starts_with("ingestry.")) {
            match name {
                ENTRY => found.entry = Some(value),
                DATA => found.line(value),
                TAG => found.tag = Some(value),
                TIMESTAMP => found.timestamp = Some(value),
                SOURCE => found.source = Some(value),
                VALUES => found.values = Some(value),
                _ => {}
            }
        }
        found
    }

    /// What [`DATA`] says.
    fn line(&mut self, line: &'a [u8]) {
        let mut words = line.split(|byte| *byte == b' ');
        self.tag = words.next();
        self.timestamp = words.next();
        self.source = words.next();
    }

    /// Bytes of the values that they bring.
    #[must_use]
    pub fn values_len(&self) -> usize {
        self.values.map_or(0, <[u8]>::len)
    }
}

/// How records become entries.
#[derive(Clone, Copy, Debug)]
pub struct Mapper {
    /// What a value is read as.
    pub encoding: KafkaDecoding,
    /// The time of records that bring none.
    pub time: KafkaTime,
    /// What is attached.
    pub values: KafkaValues,
    /// The source of entries that bring none.
    pub source: Source,
}

impl Mapper {
    /// The tag that a record brings, if it brings one.
    ///
    /// # Errors
    /// [`Refusal::BadTag`].
    pub fn tag<'a>(&self, headers: &Headers<'a>) -> Result<Option<&'a str>, Refusal> {
        let named = match self.encoding {
            KafkaDecoding::Raw => None,
            KafkaDecoding::Entry => headers.entry,
            KafkaDecoding::Auto => headers.entry.or(headers.tag),
        };
        match named.map(str::from_utf8) {
            None => Ok(None),
            Some(Ok(name)) if TagName::check(name).is_ok() => Ok(Some(name)),
            Some(_) => Err(Refusal::BadTag),
        }
    }

    /// The entry, with that tag.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn entry<'a>(
        &self,
        read: &Read<'a>,
        tag: TagId,
        now: Timestamp,
    ) -> Result<EntryRef<'a>, Refusal> {
        let value = read.value.ok_or(Refusal::Tombstone)?;
        let whole = match self.encoding {
            KafkaDecoding::Raw => false,
            KafkaDecoding::Entry => true,
            KafkaDecoding::Auto => read.headers.entry.is_some(),
        };
        if whole {
            return match EntryRef::decode_stored(value, &Limits::default()) {
                Ok((entry, used)) if used == value.len() => Ok(EntryRef { tag, ..entry }),
                _ => Err(Refusal::BadEntry),
            };
        }
        let own = self.encoding == KafkaDecoding::Auto;
        let ts = read.headers.timestamp.filter(|_| own).and_then(time);
        let ts = ts.unwrap_or_else(|| match (self.time, read.timestamp) {
            (KafkaTime::Record, Some(millis)) => of_millis(millis).unwrap_or(now),
            _ => now,
        });
        let source = read.headers.source.filter(|_| own).and_then(address);
        let src = source.unwrap_or(self.source);
        let values = match read.headers.values.filter(|_| own) {
            None => ValuesRef::EMPTY,
            Some(block) => match ValuesRef::decode(block, &Limits::default()) {
                Ok((values, used)) if used == block.len() => values,
                _ => return Err(Refusal::BadEntry),
            },
        };
        Ok(EntryRef { ts, src, tag, data: value, values })
    }
}

/// What is attached to an entry: those values that it has, and headers, except the one that has
/// those values. What an entry cannot hold is left out.
pub fn attach<'a>(
    entry: &EntryRef<'_>,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    into: &mut Values,
) {
    into.clear();
    for value in entry.values.iter() {
        let _ = into.push(value.name(), value.value());
    }
    for (name, value) in headers.filter(|(name, _)| *name != VALUES) {
        let _ = match str::from_utf8(value) {
            Ok(text) => into.push(name, text),
            Err(_) => into.push(name, value),
        };
    }
}

fn time(text: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = str::from_utf8(text).ok()?.split_once('.')?;
    let nanos = (nanos.len() == 9).then_some(nanos)?;
    Timestamp::from_unix(seconds.parse().ok()?, nanos.parse().ok()?)
}

fn of_millis(millis: i64) -> Option<Timestamp> {
    let nanos = u32::try_from(millis.rem_euclid(1000)).ok()? * 1_000_000;
    Timestamp::from_unix(millis.div_euclid(1000), nanos)
}

fn address(text: &[u8]) -> Option<Source> {
    Some(Source::from_ip(str::from_utf8(text).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPER: Mapper = Mapper {
        encoding: KafkaDecoding::Auto,
        time: KafkaTime::Record,
        values: KafkaValues::None,
        source: Source::NONE,
    };

    fn now() -> Timestamp {
        Timestamp::from_unix(1_700_000_000, 5).unwrap()
    }

    #[test]
    fn every_reason_has_one_place() {
        let reasons = reasons();
        for refusal in Refusal::ALL {
            assert_eq!(reasons[refusal.index()], refusal.as_str());
        }
        for refusal in OURS {
            assert_eq!(reasons[index(refusal)], refusal.as_str());
        }
    }

    #[test]
    fn a_record_of_others_is_data() {
        let read = Read { value: Some(b"x"), timestamp: Some(-1_500), headers: Headers::default() };
        let entry = MAPPER.entry(&read, TagId(3), now()).unwrap();
        assert_eq!((entry.data, entry.tag, entry.src), (&b"x"[..], TagId(3), Source::NONE));
        assert_eq!(entry.ts, Timestamp::from_unix(-2, 500_000_000).unwrap());
        let arrival = Mapper { time: KafkaTime::Arrival, ..MAPPER };
        assert_eq!(arrival.entry(&read, TagId(3), now()).unwrap().ts, now());
        let none = Read { timestamp: None, ..read };
        assert_eq!(MAPPER.entry(&none, TagId(3), now()).unwrap().ts, now());
        let tombstone = Read { value: None, ..read };
        assert_eq!(MAPPER.entry(&tombstone, TagId(3), now()), Err(Refusal::Tombstone));
    }

    #[test]
    fn whole_entries_come_back_but_for_the_number_of_the_tag() {
        let mut values = Values::new();
        values.add("host", "web1").unwrap();
        let src = Source::from_ip("10.0.0.1".parse().unwrap());
        let entry = EntryRef { ts: now(), src, tag: TagId(9), data: b"d", values: values.as_ref() };
        let mut bytes = Vec::new();
        entry.encode_stored(&mut bytes).unwrap();
        let headers = Headers::of([(ENTRY, &b"app"[..]), ("other", b"x"), (ID, b"i")].into_iter());
        let read = Read { value: Some(&bytes), timestamp: None, headers };
        assert_eq!(MAPPER.tag(&headers), Ok(Some("app")));
        let back = MAPPER.entry(&read, TagId(1), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(back, EntryRef { tag: TagId(1), ..entry });
        let more = [bytes.as_slice(), b"\0"].concat();
        let longer = Read { value: Some(&more), ..read };
        assert_eq!(MAPPER.entry(&longer, TagId(1), now()), Err(Refusal::BadEntry));
        let raw = Mapper { encoding: KafkaDecoding::Raw, ..MAPPER };
        assert_eq!(raw.tag(&headers), Ok(None));
        assert_eq!(raw.entry(&longer, TagId(1), now()).unwrap().data, more);
        let entries = Mapper { encoding: KafkaDecoding::Entry, ..MAPPER };
        let foreign = Read { value: Some(b"x"), timestamp: None, headers: Headers::default() };
        assert_eq!(entries.entry(&foreign, TagId(1), now()), Err(Refusal::BadEntry));
    }

    #[test]
    fn raw_records_of_ours_bring_tag_time_and_source() {
        let all: [(&str, &[u8]); 3] =
            [(TAG, b"app"), (TIMESTAMP, b"-3.000000007"), (SOURCE, b"2001:db8::1")];
        let headers = Headers::of(all.into_iter());
        assert_eq!(MAPPER.tag(&headers), Ok(Some("app")));
        let read = Read { value: Some(b"x"), timestamp: Some(1), headers };
        let entry = MAPPER.entry(&read, TagId(1), now()).unwrap();
        assert_eq!(entry.ts, Timestamp::from_unix(-3, 7).unwrap());
        assert_eq!(entry.src, Source::from_ip("2001:db8::1".parse().unwrap()));
        let line = Headers::of([(DATA, &b"app -3.000000007 2001:db8::1"[..])].into_iter());
        assert_eq!(line, headers);
        let line = Headers::of([(DATA, &b"app -"[..])].into_iter());
        assert_eq!(MAPPER.tag(&line), Ok(Some("app")));
        let entry = MAPPER.entry(&Read { headers: line, ..read }, TagId(1), now()).unwrap();
        assert_eq!((entry.ts, entry.src), (of_millis(1).unwrap(), Source::NONE));
        // What is no time or address of ours is as if it were not there.
        let all: [(&str, &[u8]); 3] = [(TAG, b"no tag"), (TIMESTAMP, b"1.5"), (SOURCE, b"here")];
        let headers = Headers::of(all.into_iter());
        assert_eq!(MAPPER.tag(&headers), Err(Refusal::BadTag));
        let read = Read { headers, ..read };
        let entry = MAPPER.entry(&read, TagId(1), now()).unwrap();
        assert_eq!((entry.ts, entry.src), (of_millis(1).unwrap(), Source::NONE));
    }

    #[test]
    fn raw_records_of_ours_bring_their_values() {
        let mut values = Values::new();
        values.add("host", "web1").unwrap();
        values.add("n", -7_i32).unwrap();
        let block = values.as_ref().as_bytes();
        let headers = Headers::of([(TAG, &b"app"[..]), (VALUES, block)].into_iter());
        assert_eq!(headers.values_len(), block.len());
        let read = Read { value: Some(b"x"), timestamp: Some(1), headers };
        assert_eq!(MAPPER.entry(&read, TagId(1), now()).unwrap().values, values.as_ref());
        let raw = Mapper { encoding: KafkaDecoding::Raw, ..MAPPER };
        assert!(raw.entry(&read, TagId(1), now()).unwrap().values.is_empty());
        for cut in 0..block.len() {
            let headers = Headers::of([(VALUES, &block[..cut])].into_iter());
            let read = Read { headers, ..read };
            assert_eq!(MAPPER.entry(&read, TagId(1), now()), Err(Refusal::BadEntry), "{cut}");
        }
    }

    #[test]
    fn headers_are_attached_behind_the_entry_s_own_values() {
        let mut own = Values::new();
        own.add("a", 1_u64).unwrap();
        let entry =
            EntryRef { values: own.as_ref(), ..EntryRef::new(now(), Source::NONE, TagId(0), b"") };
        let mut all = Values::new();
        let headers: [(&str, &[u8]); 3] = [("t", b"text"), (VALUES, b"x"), ("b", b"\xff")];
        attach(&entry, headers.into_iter(), &mut all);
        let names: Vec<_> = all.iter().map(|value| value.name().to_vec()).collect();
        assert_eq!(names, [b"a", b"t", b"b"]);
    }
}
