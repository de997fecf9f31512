//! Where endpoint and token come from: arguments, the environment, the file of the cf program.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use loggregator_consumer::client::TokenSource;
use serde::Deserialize;

/// What the cf program keeps. Its names changed with its versions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CfConfig {
    #[serde(rename = "AccessToken")]
    token: String,
    #[serde(rename = "Target")]
    target: String,
    #[serde(rename = "LoggregatorEndPoint", alias = "LoggregatorEndpoint")]
    loggregator: String,
    #[serde(rename = "DopplerEndPoint", alias = "DopplerEndpoint")]
    doppler: String,
    #[serde(rename = "LogCacheEndPoint", alias = "LogCacheEndpoint")]
    log_cache: String,
    #[serde(rename = "SSLDisabled")]
    pub(super) insecure: bool,
}

impl CfConfig {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }
}

/// The token of the file, read again when the one before has run out: `cf` puts a new one there.
struct FileToken(PathBuf);

impl TokenSource for FileToken {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async {
            let file = CfConfig::read(&self.0).map_err(|error| format!("{error:#}"))?;
            Ok(file.token)
        })
    }
}

/// Which server is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Loggregator,
    Doppler,
    LogStream,
    LogCache,
}

/// The environment and the file, read when they are needed.
pub(super) struct Settings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    file: CfConfig,
    path: Option<PathBuf>,
}

/// A variable of the environment, unless it is empty.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl<'a> Settings<'a> {
    /// Reads the file, if there is one.
    pub(super) fn read(variable: &'a dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let home = variable("CF_HOME").or_else(|| variable("HOME")).map(PathBuf::from);
        let path = home.map(|home| home.join(".cf/config.json"));
        let file = match &path {
            Some(path) if path.exists() => CfConfig::read(path)?,
            _ => CfConfig::default(),
        };
        Ok(Self { variable, file, path })
    }

    /// Whether the file says that certificates are not to be verified.
    pub(super) const fn insecure(&self) -> bool {
        self.file.insecure
    }

    fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| ".cf/config.json".into(), |p| p.display().to_string())
    }

    pub(super) fn token(&self) -> Result<String> {
        let token = (self.variable)("CF_ACCESS_TOKEN").unwrap_or_else(|| self.file.token.clone());
        if token.is_empty() {
            bail!(
                "no token: set CF_ACCESS_TOKEN, or log in with cf so that {} has one",
                self.place()
            );
        }
        Ok(token)
    }

    /// Where the next token comes from, unless the environment has the one that is to be used.
    pub(super) fn next_token(&self) -> Option<Arc<dyn TokenSource>> {
        if (self.variable)("CF_ACCESS_TOKEN").is_some() {
            return None;
        }
        let path = self.path.clone()?;
        Some(Arc::new(FileToken(path)))
    }

    pub(super) fn app(&self, given: Option<&String>) -> Result<String> {
        let app = given.cloned().or_else(|| (self.variable)("APP_GUID"));
        app.context("no application: give its GUID, or set APP_GUID")
    }

    pub(super) fn app_if_any(&self) -> Option<String> {
        (self.variable)("APP_GUID")
    }

    pub(super) fn endpoint(&self, given: Option<&String>, server: Server) -> Result<String> {
        let named = given.cloned().or_else(|| (self.variable)("LOGGREGATOR_ENDPOINT"));
        if let Some(endpoint) = named {
            return Ok(endpoint);
        }
        let kept = match server {
            Server::Loggregator => &self.file.loggregator,
            Server::Doppler => &self.file.doppler,
            Server::LogCache => &self.file.log_cache,
            Server::LogStream => "",
        };
        if !kept.is_empty() {
            return Ok(kept.to_owned());
        }
        // The servers of a platform differ in the first label of their names.
        let (scheme, label) = match server {
            Server::Loggregator => ("wss", "loggregator"),
            Server::Doppler => ("wss", "doppler"),
            Server::LogStream => ("https", "log-stream"),
            Server::LogCache => ("https", "log-cache"),
        };
        let domain = self.file.target.split_once("://").and_then(|(_, host)| host.split_once('.'));
        match domain {
            Some((_, domain)) => Ok(format!("{scheme}://{label}.{domain}")),
            None => bail!(
                "no endpoint: give --endpoint, set LOGGREGATOR_ENDPOINT, or log in with cf so that \
                 {} names the platform",
                self.place()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_and_the_environment_wins() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".cf")).unwrap();
        let json = r#"{"ConfigVersion": 4, "AccessToken": "bearer file", "SSLDisabled": true,
            "Target": "https://api.sys.example.com", "DopplerEndPoint": "wss://doppler.x:443"}"#;
        std::fs::write(home.path().join(".cf/config.json"), json).unwrap();
        let path = home.path().display().to_string();
        let only_home = |name: &str| (name == "CF_HOME").then(|| path.clone());
        let settings = Settings::read(&only_home).unwrap();
        assert_eq!(settings.token().unwrap(), "bearer file");
        assert!(settings.insecure());
        let endpoint = |server| settings.endpoint(None, server).unwrap();
        assert_eq!(endpoint(Server::Doppler), "wss://doppler.x:443");
        assert_eq!(endpoint(Server::LogStream), "https://log-stream.sys.example.com");
        assert_eq!(endpoint(Server::Loggregator), "wss://loggregator.sys.example.com");
        assert!(settings.app(None).is_err());
        let all = |name: &str| match name {
            "HOME" => Some(path.clone()),
            "CF_ACCESS_TOKEN" => Some("bearer environment".to_owned()),
            "LOGGREGATOR_ENDPOINT" => Some("wss://other".to_owned()),
            "APP_GUID" => Some("guid".to_owned()),
            _ => None,
        };
        let settings = Settings::read(&all).unwrap();
        assert_eq!(settings.token().unwrap(), "bearer environment");
        assert_eq!(settings.endpoint(None, Server::Doppler).unwrap(), "wss://other");
        let given = "wss://given".to_owned();
        assert_eq!(settings.endpoint(Some(&given), Server::Doppler).unwrap(), given);
        assert_eq!(settings.app(None).unwrap(), "guid");
    }

    #[test]
    fn without_anything_the_error_says_what_to_do() {
        let nothing = |_: &str| None;
        let settings = Settings::read(&nothing).unwrap();
        assert!(settings.token().unwrap_err().to_string().contains("CF_ACCESS_TOKEN"));
        let error = settings.endpoint(None, Server::LogCache).unwrap_err().to_string();
        assert!(error.contains("--endpoint"), "{error}");
    }
}
