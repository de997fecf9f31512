//! The points that are decoded, in all forms.

use anyhow::Result;
use graphite_proto::pickle::PickleEncoder;
use graphite_proto::protobuf::ProtobufEncoder;
use graphite_proto::{MetricRef, Timestamp};

use super::What;

/// Points, each of a series of its own.
pub(in crate::bench) const POINTS: usize = 10_000;
/// Points of a frame.
const FRAME: usize = 500;

struct Point {
    path: String,
    value: f64,
    seconds: u32,
}

fn points(tagged: bool) -> impl Iterator<Item = Point> {
    (0..POINTS).map(move |n| {
        let (host, cpu) = (n / 16, n % 16);
        let path = if tagged {
            format!("servers.cpu.user;host=web{host:03};cpu={cpu:02}")
        } else {
            format!("servers.web{host:04}.cpu.cpu-{cpu:02}.user.percent")
        };
        // Whole hundredths, never a whole number, so that all texts have the same length.
        let value = (1000 + n % 8000) as f64 + 0.25;
        Point { path, value, seconds: 1_700_000_000 + (n % 60) as u32 }
    })
}

/// The stream.
pub(in crate::bench) fn stream(what: What) -> Result<Vec<u8>> {
    let mut stream = Vec::new();
    match what {
        What::Copy | What::Lines | What::Tagged => {
            for Point { path, value, seconds } in points(what == What::Tagged) {
                stream.extend_from_slice(format!("{path} {value} {seconds}\n").as_bytes());
            }
        }
        What::PickleOfOurs => {
            let mut encoder = PickleEncoder::default();
            for Point { path, value, seconds } in points(false) {
                let time = Timestamp::from_seconds(i64::from(seconds));
                encoder.push(&MetricRef::new(&path, value, time), &mut stream)?;
            }
            encoder.flush(&mut stream);
        }
        What::Protobuf => {
            let mut encoder = ProtobufEncoder::default();
            for Point { path, value, seconds } in points(false) {
                let time = Timestamp::from_seconds(i64::from(seconds));
                encoder.push(&MetricRef::new(&path, value, time), &mut stream)?;
            }
            encoder.flush(&mut stream);
        }
        What::Pickle(_) | What::PickleOfSerde => {
            let protocol = if let What::Pickle(protocol) = what { protocol } else { 2 };
            let points: Vec<Point> = points(false).collect();
            for points in points.chunks(FRAME) {
                frame(&cpython(protocol, points), &mut stream);
            }
        }
        What::PickleOfRelayNg => {
            for Point { path, value, seconds } in points(false) {
                let mut pickle = vec![0x80, 2, b'(', b'U', path.len() as u8];
                pickle.extend_from_slice(path.as_bytes());
                pickle.push(b'J');
                pickle.extend_from_slice(&seconds.to_le_bytes());
                pickle.push(b'G');
                pickle.extend_from_slice(&value.to_be_bytes());
                pickle.extend_from_slice(b"\x86\x86l.");
                frame(&pickle, &mut stream);
            }
        }
    }
    Ok(stream)
}

fn frame(pickle: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(&(pickle.len() as u32).to_be_bytes());
    stream.extend_from_slice(pickle);
}

/// What `pickle.dumps` of Python 3 writes for a list of `(path, (seconds, value))`.
fn cpython(protocol: u8, points: &[Point]) -> Vec<u8> {
    let mut memo = 0_u32;
    let mut put = |out: &mut Vec<u8>| {
        match (protocol, u8::try_from(memo)) {
            (0, _) => out.extend_from_slice(format!("p{memo}\n").as_bytes()),
            (4.., _) => out.push(0x94),
            (_, Ok(index)) => out.extend_from_slice(&[b'q', index]),
            _ => {
                out.push(b'r');
                out.extend_from_slice(&memo.to_le_bytes());
            }
        }
        memo += 1;
    };
    let mut body = Vec::new();
    body.extend_from_slice(if protocol == 0 { b"(l" } else { b"]" });
    put(&mut body);
    if protocol != 0 {
        body.push(b'(');
    }
    for Point { path, value, seconds } in points {
        let length = path.len() as u32;
        match protocol {
            0 => body.extend_from_slice(format!("(V{path}\n").as_bytes()),
            4.. => body.extend_from_slice(&[0x8c, length as u8]),
            _ => {
                body.push(b'X');
                body.extend_from_slice(&length.to_le_bytes());
            }
        }
        if protocol == 0 {
            put(&mut body);
            body.extend_from_slice(format!("(I{seconds}\nF{value}\nt").as_bytes());
            put(&mut body);
            body.push(b't');
            put(&mut body);
            body.push(b'a');
            continue;
        }
        body.extend_from_slice(path.as_bytes());
        put(&mut body);
        body.push(b'J');
        body.extend_from_slice(&seconds.to_le_bytes());
        body.push(b'G');
        body.extend_from_slice(&value.to_be_bytes());
        for _ in 0..2 {
            body.push(0x86);
            put(&mut body);
        }
    }
    body.extend_from_slice(if protocol == 0 { b"." } else { b"e." });
    match protocol {
        0 => body,
        4.. => {
            let length = (body.len() as u64).to_le_bytes();
            [&[0x80, protocol, 0x95][..], &length, &body].concat()
        }
        _ => [&[0x80, protocol][..], &body].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_59_bytes() {
        let stream = stream(What::Lines).unwrap();
        assert!(stream.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() == 59));
        assert_eq!(stream.len(), 59 * POINTS);
    }
}
