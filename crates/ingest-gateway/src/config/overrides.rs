//! What the command line changes about a configuration.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::addr::{ListenAddr, ListenAddrError};
use super::choice::one_of;
use super::conflict::{Binding, Protocol, bindings, conflicts};
use super::error::LoadError;
use super::load::{Loaded, load};
use super::model::{Config, SourceConfig};
use crate::suggest::nearest;

/// The name of the admin pages among the listeners.
const ADMIN: &str = "admin";

/// `NAME=ADDR`: another address for the source of that name, or for `admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOverride {
    /// The name of a source, or `admin`.
    pub name: String,
    /// Its new address.
    pub listen: ListenAddr,
}

/// Why a text is not `NAME=ADDR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenOverrideError {
    /// There is no `=`, or no name before it.
    #[error("found \"{0}\"; allowed: NAME=ADDR such as graphite=127.0.0.1:2003")]
    Form(String),
    /// What follows the `=` is no address.
    #[error(transparent)]
    Address(#[from] ListenAddrError),
}

impl FromStr for ListenOverride {
    type Err = ListenOverrideError;

    fn from_str(text: &str) -> Result<Self, ListenOverrideError> {
        match text.split_once('=') {
            Some((name, address)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), listen: address.parse()? })
            }
            _ => {
                let found = text.chars().take(80).flat_map(char::escape_debug).collect();
                Err(ListenOverrideError::Form(found))
            }
        }
    }
}

/// What the command line of `run` changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Addresses that replace configured ones.
    pub listens: Vec<ListenOverride>,
    /// The directory that replaces `log.dir`.
    pub data_dir: Option<PathBuf>,
    /// Whether the addresses given may be ones that other machines can reach.
    pub allow_public: bool,
}

/// Why an override cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// Nothing of that name listens.
    #[error("--listen {name}: found \"{name}\", which listens nowhere; allowed: {allowed}{}",
        .meant.as_ref().map(|m| format!("; did you mean \"{m}\"?")).unwrap_or_default())]
    UnknownName {
        /// The name.
        name: String,
        /// The names there are.
        allowed: String,
        /// The one that was probably meant.
        meant: Option<String>,
    },
    /// The name is given more than once.
    #[error("--listen {name}: found more than one address; allowed: one")]
    Repeated {
        /// The name.
        name: String,
    },
    /// The address can be reached by others, and nothing said that this is wanted.
    #[error(
        "--listen {name}={listen}: found an address that other machines can reach without TLS or \
         authentication; allowed: a loopback address, allow_public = true in the configuration, \
         or --allow-public"
    )]
    Public {
        /// The name.
        name: String,
        /// The address.
        listen: ListenAddr,
    },
    /// Two listeners of one protocol would have one address.
    #[error(
        "--listen: found \"{listen}\" as the {protocol} address of both {first} and {second}; allowed: an address for each"
    )]
    SameAddress {
        /// The address.
        listen: ListenAddr,
        /// The protocol.
        protocol: Protocol,
        /// The listener that has it.
        first: String,
        /// The listener that wants it too.
        second: String,
    },
    /// The directory has no name.
    #[error("--data-dir: found \"\"; allowed: a path, not empty")]
    EmptyDataDir,
}

impl Config {
    /// Replaces addresses and the directory as the command line says. Naming `admin` also switches
    /// the admin pages on.
    ///
    /// # Errors
    /// Every [`OverrideError`] there is; the configuration is then of no use.
    pub fn apply_overrides(&mut self, overrides: &Overrides) -> Result<(), Vec<OverrideError>> {
        self.replace(overrides)?;
        self.check_addresses()
    }

    fn replace(&mut self, overrides: &Overrides) -> Result<(), Vec<OverrideError>> {
        let mut errors = Vec::new();
        for (index, listen) in overrides.listens.iter().enumerate() {
            let name = &listen.name;
            if overrides.listens.iter().take(index).any(|earlier| earlier.name == *name) {
                errors.push(OverrideError::Repeated { name: name.clone() });
            } else if let Err(error) = self.override_listen(listen, overrides.allow_public) {
                errors.push(error);
            }
        }
        if let Some(dir) = &overrides.data_dir {
            if dir.as_os_str().is_empty() {
                errors.push(OverrideError::EmptyDataDir);
            }
            self.log.dir.clone_from(dir);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_addresses(&self) -> Result<(), Vec<OverrideError>> {
        let bindings = bindings(self);
        let conflicts = conflicts(&bindings);
        if conflicts.is_empty() {
            return Ok(());
        }
        let error = |(later, earlier): (&Binding, &Binding)| OverrideError::SameAddress {
            listen: later.listen.clone(),
            protocol: later.protocol,
            first: earlier.owner.clone(),
            second: later.owner.clone(),
        };
        Err(conflicts.into_iter().map(error).collect())
    }

    fn override_listen(
        &mut self,
        wanted: &ListenOverride,
        allow_public: bool,
    ) -> Result<(), OverrideError> {
        let listeners = self.sources.iter().filter(|source| source.listen().is_some());
        let names: Vec<String> = listeners.map(|source| source.name.clone()).collect();
        let source = self.sources.iter_mut().find(|source| source.name == wanted.name);
        let (listen, public) = match source.and_then(SourceConfig::binding_mut) {
            Some(binding) => binding,
            None if wanted.name == ADMIN => {
                self.admin.enabled = true;
                (&mut self.admin.listen, &mut self.admin.allow_public)
            }
            None => {
                let names = || names.iter().map(String::as_str).chain([ADMIN]);
                return Err(OverrideError::UnknownName {
                    name: wanted.name.chars().take(80).flat_map(char::escape_debug).collect(),
                    allowed: one_of(names()),
                    meant: nearest(&wanted.name, names()).map(str::to_owned),
                });
            }
        };
        *public |= allow_public;
        if !wanted.listen.is_loopback() && !*public {
            let name = wanted.name.clone();
            return Err(OverrideError::Public { name, listen: wanted.listen.clone() });
        }
        listen.clone_from(&wanted.listen);
        Ok(())
    }

    /// Leaves only the listeners that are named, the admin pages among them.
    fn limit_to(&mut self, listens: &[ListenOverride]) {
        let named = |name: &str| listens.iter().any(|listen| listen.name == name);
        self.sources.retain(|source| named(&source.name));
        self.admin.enabled &= named(ADMIN);
    }
}

/// Why there is no configuration to run.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] LoadError),
    /// The command line is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Overrides(Vec<OverrideError>),
}

/// The configuration that `run` uses: the file with the overrides on top, or without a file the
/// default set. Without a file, naming listeners limits the default set to those named, so that
/// the admin pages run only when `admin` is among them.
///
/// # Errors
/// [`StartError`], with everything that is wrong with the file, else with the overrides.
pub fn for_run(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, StartError> {
    let mut loaded = match file {
        Some(file) => load(file)?,
        None => Loaded { config: Config::default(), warnings: Vec::new(), files: Vec::new() },
    };
    loaded.config.replace(overrides).map_err(StartError::Overrides)?;
    if file.is_none() && !overrides.listens.is_empty() {
        loaded.config.limit_to(&overrides.listens);
    }
    loaded.config.check_addresses().map_err(StartError::Overrides)?;
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(listens: &[&str]) -> Overrides {
        let listens = listens.iter().map(|text| text.parse().unwrap()).collect();
        Overrides { listens, ..Overrides::default() }
    }

    fn refused(listens: &[&str]) -> String {
        for_run(None, &overrides(listens)).unwrap_err().to_string()
    }

    #[test]
    fn names_limit_the_default_set() {
        let run = |listens: &[&str]| for_run(None, &overrides(listens)).unwrap().config;
        assert_eq!(run(&[]), Config::default());

        let one = run(&["graphite=127.0.0.1:0"]);
        assert_eq!(one.sources.len(), 1);
        assert_eq!(one.source("graphite").unwrap().listen(), Some(&ListenAddr::loopback(0)));
        assert!(!one.admin.enabled);

        let two = run(&["graphite-udp=[::1]:9", "admin=localhost:2003"]);
        assert_eq!(two.sources.len(), 1);
        assert_eq!(two.source("graphite-udp").unwrap().listen().unwrap().to_string(), "[::1]:9");
        assert!(two.admin.enabled);
        assert_eq!(two.admin.listen.to_string(), "localhost:2003");
    }

    #[test]
    fn a_directory_alone_limits_nothing() {
        let overrides = Overrides { data_dir: Some("elsewhere".into()), ..Overrides::default() };
        let config = for_run(None, &overrides).unwrap().config;
        assert_eq!(config.log.dir, Path::new("elsewhere"));
        assert_eq!(config.sources.len(), 5);
        assert!(config.admin.enabled);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(
            refused(&["grafite=127.0.0.1:1"]),
            "--listen grafite: found \"grafite\", which listens nowhere; allowed: \"graphite\", \
             \"graphite-udp\", \"graphite-pickle\", \"gravwell\", \"hydra\" or \"admin\"; did you mean \"graphite\"?"
        );
        assert_eq!(
            refused(&["graphite=127.0.0.1:1", "graphite=127.0.0.1:2"]),
            "--listen graphite: found more than one address; allowed: one"
        );
        assert_eq!(
            refused(&["graphite=127.0.0.1:1", "admin=127.0.0.1:1"]),
            "--listen: found \"127.0.0.1:1\" as the TCP address of both sources.graphite and \
             admin; allowed: an address for each"
        );
        assert_eq!(
            refused(&["graphite=0.0.0.0:1"]),
            "--listen graphite=0.0.0.0:1: found an address that other machines can reach without \
             TLS or authentication; allowed: a loopback address, allow_public = true in the \
             configuration, or --allow-public"
        );
        let public = Overrides { allow_public: true, ..overrides(&["graphite=0.0.0.0:1"]) };
        assert!(for_run(None, &public).is_ok());
        let nowhere = Overrides { data_dir: Some(PathBuf::new()), ..Overrides::default() };
        assert_eq!(
            for_run(None, &nowhere).unwrap_err().to_string(),
            "--data-dir: found \"\"; allowed: a path, not empty"
        );
        assert!(matches!(
            for_run(Some(Path::new("no such file")), &Overrides::default()),
            Err(StartError::File(_))
        ));
    }

    #[test]
    fn listens_are_a_name_and_an_address() {
        for text in ["", "graphite", "=127.0.0.1:1"] {
            let error = text.parse::<ListenOverride>().unwrap_err();
            assert_eq!(error, ListenOverrideError::Form(text.to_owned()));
        }
        assert!(matches!("a=b".parse::<ListenOverride>(), Err(ListenOverrideError::Address(_))));
    }
}
