//! The opening handshake, from the client's side.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::{ClientError, ClientOptions, Target};

/// Bytes of the head of the answer.
const HEAD: usize = 16 << 10;

/// The stream after the handshake, and what came behind it.
pub(super) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    target: &Target,
    options: &ClientOptions,
) -> Result<(T, Vec<u8>), ClientError> {
    let key = generate_key();
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        target.path(),
        target.authority()
    );
    for (name, value) in &options.fields {
        let bad = |text: &str| text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if name.is_empty() || name.contains(':') || bad(name) || bad(value) {
            return Err(ClientError::Metadata);
        }
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if head.len() > HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(refused(&head));
        }
    };
    let behind = head.split_off(end);
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.split("\r\n");
    let switches = lines.next().is_some_and(|first| first.starts_with("HTTP/1.1 101"));
    let wanted = derive_accept_key(key.as_bytes());
    let accepts = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == wanted
    });
    if switches && accepts { Ok((stream, behind)) } else { Err(refused(&head)) }
}

fn refused(head: &[u8]) -> ClientError {
    let first = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let shown = first.get(..200).unwrap_or(first);
    ClientError::Handshake(String::from_utf8_lossy(shown).into_owned())
}
