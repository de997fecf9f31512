//! A request, as far as the server looks at it.

use tokio::io::AsyncReadExt as _;

use super::Carrier;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Keys and values, unescaped; none where there is no `?` or nothing behind it. A key with `;`
    /// in it is no key.
    pub(crate) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) async fn read(stream: &mut impl Carrier) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        Some(Self::parse(&String::from_utf8(head).unwrap()))
    }

    pub(crate) fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        let query = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(key), unescape(value))
        });
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.collect(),
            headers: headers.collect(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The header's, else the cookie's.
    pub(crate) fn token(&self) -> Option<String> {
        let cookie = || {
            let cookies = self.header("cookie")?.split(';');
            cookies.filter_map(|one| one.trim().strip_prefix("authorization=")).next().map(unescape)
        };
        let header = self.header("authorization").filter(|token| !token.is_empty());
        header.map(str::to_owned).or_else(cookie)
    }
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |b: u8| char::from(b).to_digit(16).unwrap() as u8;
                out.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap()
}
