//! What may be around Graphite's lines: unix sockets, PROXY headers, TLS, gzip; and what happens to
//! those who send too much, or nonsense.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ingest_store::{Query, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::client::{acknowledged, connect, send};
use crate::support::library::Library;
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

fn start(dir: &Path, sources: &str) -> Library {
    let head = format!("[log]\ndir = {dir:?}\n[admin]\nenabled = false\n");
    Library::with(&format!("{head}{sources}"), None)
}

/// The sources and the data of what is stored, with the values of each.
fn stored(dir: &Path, text: &str) -> Vec<(String, String, Vec<String>)> {
    let mut query = Query::new();
    query.contains = Some(text.as_bytes().to_vec());
    let mut found = Vec::new();
    Store::open(dir)
        .unwrap()
        .search(&query, &mut |hit| {
            let values = hit.entry.values.iter().map(|value| {
                let name = String::from_utf8_lossy(value.name()).into_owned();
                let value = value.value();
                format!(
                    "{name}={}",
                    value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned)
                )
            });
            found.push((
                hit.entry.src.to_string(),
                String::from_utf8_lossy(hit.entry.data).into_owned(),
                values.collect(),
            ));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn unix_streams_and_datagrams() {
    let dir = tempfile::tempdir().unwrap();
    let (stream, datagram) = (dir.path().join("stream"), dir.path().join("datagram"));
    let log = dir.path().join("log");
    let library = start(
        &log,
        &format!(
            "[sources.s]\ntype = \"graphite-unix\"\npath = {stream:?}\n[sources.d]\ntype = \
             \"graphite-unix\"\npath = {datagram:?}\nsocket = \"datagram\"\n"
        ),
    );
    let text: String = (0..20_000).map(|n| format!("unix.stream {n} 1700000000\n")).collect();
    let mut client = UnixStream::connect(&stream).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(text.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // The end of the other side is the acknowledgement.
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(lines(&log, "unix.stream").len(), 20_000);

    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(&datagram).unwrap();
    for n in 0..500 {
        socket.send(format!("unix.datagram {n} 7\nunix.datagram {n} 8").as_bytes()).unwrap();
    }
    until("the datagrams", || (library.totals("d").received_items == 1000).then_some(()));
    assert_eq!(library.totals("d").accepted_items, 1000);

    // A second one is refused, and does not take the first one's place.
    assert!(UnixStream::connect(&stream).is_ok());
    library.stop(DEADLINE);
    assert!(!stream.exists() && !datagram.exists(), "the files go with the sockets");
}

#[test]
fn an_unfinished_unix_stream_is_not_acknowledged_by_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stream");
    let library = start(
        &dir.path().join("log"),
        &format!("[sources.s]\ntype = \"graphite-unix\"\npath = {path:?}\n"),
    );
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(b"unix.open 1 1700000000\n").unwrap();
    until("the line", || (library.totals("s").accepted_items == 1).then_some(()));
    library.stop(DEADLINE);
    let error = client.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn trusted_proxies_say_who_sends_and_others_are_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.near]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nproxies = \
         [\"127.0.0.0/8\"]\n[sources.far]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\n\
         proxies = [\"192.0.2.0/24\"]\n",
    );
    let near = library.address("near");
    send(near, b"PROXY TCP4 192.0.2.77 192.0.2.2 4711 2003\r\nproxy.one 1 7\n").unwrap();
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    second.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    second.extend([0; 16]);
    second.extend([1, 2, 3, 4]);
    second.extend(b"proxy.two 2 7\n");
    // A byte at a time: the header need not come at once.
    let mut stream = connect(near).unwrap();
    for byte in &second {
        stream.write_all(&[*byte]).unwrap();
    }
    acknowledged(stream).unwrap();
    send(near, b"PROXY UNKNOWN\r\nproxy.three 3 7\n").unwrap();
    let found = stored(dir.path(), "proxy.");
    let found: Vec<_> = found.iter().map(|(src, data, _)| (src.as_str(), data.as_str())).collect();
    assert_eq!(
        found,
        [
            ("192.0.2.77", "proxy.one 1 7"),
            ("2001:db8::9", "proxy.two 2 7"),
            ("127.0.0.1", "proxy.three 3 7")
        ]
    );
    assert!(send(near, b"proxy.none 1 7\n").is_err(), "no header, no connection");
    let far = library.address("far");
    assert!(send(far, b"PROXY TCP4 192.0.2.77 192.0.2.2 4711 2003\r\nproxy.no 1 7\n").is_err());
    assert_eq!(lines(dir.path(), "proxy.no"), Vec::<String>::new());
    for source in ["near", "far"] {
        let refused = || library.source(source).connections_refused.get();
        until("the refusal", || (refused() == 1).then_some(()));
    }
    library.stop(DEADLINE);
}

/// A certificate, and its key, in files.
fn certificate(dir: &Path, name: &str) -> (String, String, Vec<u8>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let pem = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
    (text(cert), text(key), pem.0, pem.1)
}

#[test]
fn tls_with_client_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (cert, key, authority, _) = certificate(dir.path(), "server");
    let (client_ca, _, chain, client_key) = certificate(dir.path(), "client");
    let library = start(
        &log,
        &format!(
            "[sources.secure]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\ntls = {{ cert = \
             {cert:?}, key = {key:?}, client_ca = {client_ca:?} }}\n"
        ),
    );
    let address = library.address("secure");
    let send = |options: ingest_wire::TlsOptions| {
        let connector =
            tokio_rustls::TlsConnector::from(Arc::new(options.client_config().unwrap()));
        library.runtime().block_on(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let host = "localhost".try_into().unwrap();
            let mut stream = connector.connect(host, stream).await?;
            stream.write_all(b"tls.one 1 7\n").await?;
            stream.shutdown().await?;
            let mut rest = Vec::new();
            tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await??;
            Ok::<_, std::io::Error>(rest)
        })
    };
    let known = ingest_wire::TlsOptions::default().authority(authority);
    assert!(send(known.clone()).is_err(), "a client without a certificate");
    until("the refusal", || {
        (library.source("secure").connections_refused.get() == 1).then_some(())
    });
    assert_eq!(send(known.certificate(chain, client_key)).unwrap(), b"");
    assert_eq!(lines(&log, "tls."), ["tls.one 1 7"]);
    library.stop(DEADLINE);
}

#[test]
fn gzip_streams() {
    // `printf 'gz.a 1 7\ngz.b 2 8\n' | gzip -n`, twice.
    const STREAM: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03K\xaf\xd2KT0T0\xe7J\xaf\xd2KR0R\xb0\xe0\x02\x00\xdc\xd7\x1fi\x12\x00\x00\x00\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03K\xaf\xd2KT0T0\xe7J\xaf\xd2KR0R\xb0\xe0\x02\x00\xdc\xd7\x1fi\x12\x00\x00\x00";
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.gz]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\ncompression = \"gzip\"\n",
    );
    let address = library.address("gz");
    send(address, STREAM).unwrap();
    assert_eq!(lines(dir.path(), "gz."), ["gz.a 1 7", "gz.b 2 8", "gz.a 1 7", "gz.b 2 8"]);
    assert!(send(address, &STREAM[..STREAM.len() - 3]).is_err(), "cut off: no acknowledgement");
    assert!(send(address, b"gz.plain 1 7\n").is_err());
    assert_eq!(lines(dir.path(), "gz.plain"), Vec::<String>::new());
    library.stop(DEADLINE);
}

#[test]
fn who_sends_too_much_is_slowed_down_or_loses_it() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.slow]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nmax_rate = 10000\n\
         [sources.lossy]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nmax_rate = 1000\n\
         over_rate = \"drop\"\n",
    );
    let text: String = (0..30_000).map(|n| format!("rate.points {n} 1700000000\n")).collect();
    let begun = Instant::now();
    send(library.address("slow"), text.as_bytes()).unwrap();
    // One second's worth comes at once, and the last read is not waited for.
    assert!(begun.elapsed().as_millis() >= 500, "{:?}", begun.elapsed());
    assert_eq!(library.totals("slow").accepted_items, 30_000);
    assert!(library.source("slow").rate_waits.get() > 0);
    send(library.address("lossy"), text.as_bytes()).unwrap();
    let totals = library.totals("lossy");
    let over = library.refused("lossy", "over_rate");
    assert!(over > 0 && totals.accepted_items >= 1000, "{totals:?}");
    assert_eq!(totals.accepted_items + over, 30_000);
    library.stop(DEADLINE);
}

#[test]
fn a_sample_of_what_is_refused_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.g]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nrejects = \"rejected\"\n\
         [sources.u]\ntype = \"graphite-udp\"\nlisten = \"127.0.0.1:0\"\nrejects = \"rejected\"\n",
    );
    send(library.address("g"), b"kept.good 1 7\nkept.bad one 7\nkept.short\n").unwrap();
    crate::support::client::send_datagram(library.address("u"), b"kept.udp 1 never");
    until("the samples", || (library.source("u").kept_rejects.get() == 1).then_some(()));
    assert_eq!(library.source("g").kept_rejects.get(), 2);
    let much = "kept.flood x 7\n".repeat(10_000);
    send(library.address("g"), much.as_bytes()).unwrap();
    assert_eq!(library.totals("g").accepted_items, 1);
    library.stop(DEADLINE);
    let found = stored(dir.path(), "kept.");
    let (flood, few): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, data, _)| data.starts_with("kept.flood"));
    let expected = [
        ("kept.good 1 7", vec![]),
        ("kept.bad one 7", vec!["reason=bad_value", "source=g", "offset=14"]),
        ("kept.short", vec!["reason=field_count", "source=g", "offset=29"]),
        ("kept.udp 1 never", vec!["reason=bad_timestamp", "source=u", "offset=0"]),
    ];
    let few: Vec<_> = few
        .iter()
        .map(|(src, data, values)| {
            assert_eq!(src, "127.0.0.1");
            let values = values.iter().map(|value| value.replace("U64(", "").replace(')', ""));
            (data.as_str(), values.collect::<Vec<_>>())
        })
        .collect();
    let expected = expected
        .map(|(data, values)| (data, values.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(few, expected);
    assert!(!flood.is_empty() && flood.len() < 1_000, "{}", flood.len());
}
