//! Properties that hold for any input.

use graphite_proto::{
    Event, Infinite, LineDecoder, Metric, Options, PathRule, Profile, Rejected, Timestamp,
    decode_datagram, sanitise, tags,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::new(1_700_000_000, 123_456_789);

/// An event, kept.
#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Metric(Metric, Vec<u8>),
    Rejected(&'static str, Vec<u8>, u64),
}

fn keep(event: Event<'_>) -> Kept {
    match event {
        Event::Metric(metric) => {
            let mut out = Vec::new();
            metric.write_canonical(&mut out);
            Kept::Metric(metric.to_metric(), out)
        }
        Event::Rejected(Rejected { reason, line, offset, .. }) => {
            Kept::Rejected(reason.as_str(), line.to_vec(), offset)
        }
        _ => unreachable!("there are two kinds"),
    }
}

fn stream(options: &Options, pieces: &[&[u8]]) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut sink = |event: Event<'_>| kept.push(keep(event));
    let mut decoder = LineDecoder::new(options.clone());
    for piece in pieces {
        decoder.push(piece, NOW, &mut sink);
        assert!(decoder.buffered() <= options.max_line);
    }
    decoder.finish(NOW, &mut sink);
    kept
}

/// Whether carbon would read a canonical name as OpenMetrics, and so as another name: sorting or
/// unescaping can leave one that ends in `"}`.
fn becomes_openmetrics(canonical: &str) -> bool {
    canonical.ends_with("\"}")
}

fn datagram(options: &Options, input: &[u8]) -> Vec<Kept> {
    let mut kept = Vec::new();
    decode_datagram(options, input, NOW, &mut |event| kept.push(keep(event)));
    kept
}

fn options() -> impl Strategy<Value = Options> {
    let profile = prop_oneof![
        Just(Profile::Default),
        Just(Profile::Carbon),
        Just(Profile::GoCarbon),
        any::<bool>().prop_map(|strict| Profile::RelayNg { strict }),
    ];
    let paths = prop_oneof![
        Just(PathRule::Normalise),
        Just(PathRule::NormaliseOrReject),
        Just(PathRule::Raw),
        Just(PathRule::Sanitise),
    ];
    let max_line = prop_oneof![Just(16_384_usize), 0_usize..40];
    (profile, paths, max_line, any::<bool>(), any::<bool>()).prop_map(
        |(profile, paths, max_line, fraction, drop)| {
            let mut options = Options::new(profile);
            (options.paths, options.max_line, options.fraction) = (paths, max_line, fraction);
            options.infinite = if drop { Infinite::Drop } else { Infinite::Accept };
            options
        },
    )
}

/// Bytes made of what matters to the parsers, and of anything.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b" ".to_vec()),
        3 => Just(b"\n".to_vec()),
        3 => Just(b"a.b 1 1700000000\n".to_vec()),
        2 => Just(b"cpu;b=2;a=1 0.5 17\n".to_vec()),
        1 => "[a-z.;={}\"~_-]{1,8}".prop_map(String::into_bytes),
        1 => r"[-+]?[0-9_]{0,20}\.?[0-9]{0,4}(e[-+]?[0-9]{0,3})?".prop_map(String::into_bytes),
        1 => prop_oneof![
            Just("nan"), Just("-inf"), Just("0x1p4"), Just("\t"), Just("\r"), Just("\r\n"),
            Just("\x1c"), Just("\u{85}"), Just("\u{a0}"), Just("\u{2028}"), Just("１"), Just("-1"),
        ].prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// No input panics, and every split of it gives the same events.
    #[test]
    fn any_split_gives_the_same_events(
        options in options(),
        input in input(),
        at in any::<prop::sample::Index>(),
        and in any::<prop::sample::Index>(),
    ) {
        let whole = stream(&options, &[&input]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&stream(&options, &bytes), &whole);
        let (at, and) = (at.index(input.len() + 1), and.index(input.len() + 1));
        let (at, and) = (at.min(and), at.max(and));
        prop_assert_eq!(&stream(&options, &[&input[..at], &input[at..and], &input[and..]]), &whole);
    }

    /// A stream whose last line is ended, and a datagram, say the same; except for carbon, which
    /// reads them differently.
    #[test]
    fn datagrams_are_short_streams(options in options(), mut input in input()) {
        prop_assume!(options.profile != Profile::Carbon);
        input.push(b'\n');
        prop_assert_eq!(datagram(&options, &input), stream(&options, &[&input]));
        let unended = &input[..input.len() - 1];
        prop_assert_eq!(datagram(&options, unended), stream(&options, &[&input]));
    }

    /// Whatever is between good lines, they are found, and each line gives one event at most.
    #[test]
    fn good_neighbours_are_found(options in options(), input in input()) {
        let options = { let mut options = options; options.max_line = 16_384; options };
        let good = b"good.one 1 1700000000\n".as_slice();
        let middle = [&input, b"\n".as_slice()].concat();
        let all = [good, &middle, good].concat();
        let kept = stream(&options, &[&all]);
        let good = stream(&options, &[good]);
        prop_assert_eq!(kept.first(), good.first());
        prop_assert_eq!(kept.last(), good.first());
        prop_assert!(kept.len() <= 2 + middle.iter().filter(|b| **b == b'\n').count());
    }

    /// The canonical form reads back as the same metric, and is its own canonical form.
    #[test]
    fn the_canonical_form_reads_back(
        path in r#"[a-z.;={}"~é_-]{1,20}"#,
        value in prop_oneof![
            any::<f64>().prop_filter("no NaN", |v| !v.is_nan()),
            any::<i32>().prop_map(f64::from),
            (-9999..9999).prop_map(|v| f64::from(v) / 100.0),
        ],
        seconds in 0_i64..=253_402_300_799,
        nanos in 0_u32..1_000_000_000,
    ) {
        let mut options = Options::default();
        options.fraction = true;
        let metric = Metric::new(&path, value, Timestamp::new(seconds, nanos));
        let mut line = Vec::new();
        metric.write_canonical(&mut line);
        let kept = datagram(&options, &line);
        let [Kept::Metric(read, again)] = kept.as_slice() else {
            return Err(TestCaseError::fail(format!("{kept:?}")));
        };
        let canonical = metric.as_ref().canonical_path();
        prop_assert_eq!(read.path(), &*canonical);
        prop_assert_eq!(read.value().to_bits(), value.to_bits());
        prop_assert_eq!(read.timestamp(), metric.timestamp());
        if !becomes_openmetrics(&canonical) {
            prop_assert_eq!(again, &line);
        }
    }

    /// Every decimal is read as the standard library reads it.
    #[test]
    fn values_are_exact(
        text in r"[-+]?([0-9]{1,18}|[0-9]{0,10}\.[0-9]{1,10}|[0-9]{1,40}\.?)(e[-+]?[0-9]{1,3})?",
    ) {
        let expected: f64 = text.parse().unwrap();
        let kept = datagram(&Options::default(), format!("a {text} 1").as_bytes());
        match kept.as_slice() {
            [Kept::Metric(read, _)] => {
                prop_assert_eq!(read.value().to_bits(), expected.to_bits(), "{}", text);
            }
            [Kept::Rejected("value_range", ..)] => prop_assert!(expected.is_infinite()),
            other => prop_assert!(false, "{} {:?}", text, other),
        }
    }

    /// The text of a plain integer comes through as it was.
    #[test]
    fn integers_keep_their_text(text in "-?(0|[1-9][0-9]{0,19})") {
        let kept = datagram(&Options::default(), format!("a {text} 1").as_bytes());
        let [Kept::Metric(read, line)] = kept.as_slice() else {
            return Err(TestCaseError::fail(format!("{kept:?}")));
        };
        prop_assert_eq!(read.as_ref().integer(), Some(text.as_str()));
        let expected = format!("a {text} 1").into_bytes();
        prop_assert_eq!(line, &expected);
    }

    /// Names that parse have one canonical form, whatever the order of their tags.
    #[test]
    fn normalising_ends(
        name in "[a-z~é]{0,3}[a-z]",
        tags in proptest::collection::vec(("[a-c_=-]{0,1}[a-c_-]{1,2}", "[a-z=]{0,3}[a-z]"), 0..6),
        path in r#"[a-c;={}",\\~!^é]{0,24}"#,
    ) {
        if let Ok(once) = tags::normalise(&path)
            && !becomes_openmetrics(&once)
        {
            let again = tags::normalise(&once);
            prop_assert_eq!(again.as_deref(), Ok(once.as_str()));
        }
        let tags: std::collections::BTreeMap<_, _> =
            tags.into_iter().filter(|(tag, _)| !tag.contains('=')).collect();
        let join = |tags: &mut dyn Iterator<Item = (&String, &String)>| {
            tags.fold(name.clone(), |path, (tag, value)| format!("{path};{tag}={value}"))
        };
        let forwards = tags::normalise(&join(&mut tags.iter())).unwrap();
        let backwards = tags::normalise(&join(&mut tags.iter().rev())).unwrap();
        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(tags::parse(&forwards).unwrap().len(), tags.len());
    }

    /// A sanitised name needs no more of it.
    #[test]
    fn sanitising_ends(path in r"[a-c./;=é~ ]{0,16}") {
        let once = sanitise(&path).into_owned();
        prop_assert_eq!(sanitise(&once), once.as_str());
    }
}
