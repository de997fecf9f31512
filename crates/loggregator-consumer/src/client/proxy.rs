//! Which proxy a connection goes through.

use std::fmt;
use std::sync::Arc;

use super::endpoint::Endpoint;

/// Asked with the URL `http://HOST:PORT` of the server: the URL of the proxy, none for a direct
/// connection, or why neither.
pub type ProxyFn = dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync;

/// How the proxy is found. A proxy's URL is `http://` or `https://`, and may hold user and
/// password, percent-encoded.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// `HTTPS_PROXY` for TLS, `HTTP_PROXY` otherwise and where the former is not set; not for
    /// what `NO_PROXY` names. Names in lower case count too.
    #[default]
    Environment,
    /// Never one.
    None,
    /// Always this one.
    Url(String),
    /// Whichever the function says.
    Function(Arc<ProxyFn>),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::None => "None",
            Self::Url(_) => "Url",
            Self::Function(_) => "Function",
        })
    }
}

impl Proxy {
    pub(crate) fn of(&self, server: &Endpoint) -> Result<Option<Endpoint>, String> {
        let url = match self {
            Self::None => None,
            Self::Url(url) => Some(url.clone()),
            Self::Function(ask) => ask(&format!("http://{}", server.address()))?,
            Self::Environment => from_environment(server, |name| std::env::var(name).ok()),
        };
        let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        let proxy = Endpoint::parse(&url)?;
        match proxy.scheme.as_str() {
            "http" | "https" => Ok(Some(proxy)),
            other => Err(format!("proxies of the scheme {other} are not supported")),
        }
    }
}

fn from_environment(
    server: &Endpoint,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let either = |name: &str| {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        set(name).or_else(|| set(&name.to_ascii_lowercase()))
    };
    if either("NO_PROXY").is_some_and(|list| excluded(&server.host, server.port(), &list)) {
        return None;
    }
    let secure = server.is_secure().then(|| either("HTTPS_PROXY")).flatten();
    secure.or_else(|| either("HTTP_PROXY"))
}

/// Whether a list of names, addresses and domains holds the host.
fn excluded(host: &str, port: u16, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        let entry = match entry.rsplit_once(':') {
            Some((name, with)) if with.parse::<u16>().is_ok() && !name.contains(':') => {
                if with.parse() != Ok(port) {
                    return false;
                }
                name.to_owned()
            }
            _ => entry,
        };
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || (!domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_proxy() {
        let ask = |url: &str, variables: &[(&str, &str)]| {
            from_environment(&Endpoint::parse(url).unwrap(), |name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let both = [("HTTP_PROXY", "p"), ("HTTPS_PROXY", "s"), ("NO_PROXY", "x.org, .y.org,z:9")];
        assert_eq!(ask("ws://a", &both).as_deref(), Some("p"));
        assert_eq!(ask("wss://a", &both).as_deref(), Some("s"));
        assert_eq!(ask("wss://a", &[("http_proxy", "p")]).as_deref(), Some("p"));
        for excluded in ["ws://x.org", "ws://a.X.org:1", "ws://y.org", "ws://z:9"] {
            assert_eq!(ask(excluded, &both), None, "{excluded}");
        }
        for included in ["ws://xx.org", "ws://z:8"] {
            assert!(ask(included, &both).is_some(), "{included}");
        }
        assert_eq!(ask("ws://a", &[("HTTP_PROXY", "p"), ("NO_PROXY", "*")]), None);
        assert_eq!(ask("ws://a", &[]), None);
    }

    #[test]
    fn a_function_is_asked_with_a_clear_text_url() {
        let proxy = Proxy::Function(Arc::new(|url| Err(format!("asked {url}"))));
        let server = Endpoint::parse("wss://h:1/x").unwrap();
        assert_eq!(proxy.of(&server).unwrap_err(), "asked http://h:1");
        assert!(Proxy::Url("socks5://h:1".to_owned()).of(&server).is_err());
        let found = Proxy::Url("u:p@h:3128".to_owned()).of(&server).unwrap().unwrap();
        assert_eq!((found.port(), found.user.as_deref()), (3128, Some("u:p")));
    }
}
