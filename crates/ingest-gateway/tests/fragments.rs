//! `conf.d`: fragments beside the configuration file are read as if they stood in it, and every
//! message names the file that it is about.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ingest_gateway::config::{Config, load};

/// A directory with a configuration file `c.toml` and files in `conf.d`.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new(main: &str, fragments: &[(&str, &str)]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        fs::write(dir.main(), main).unwrap();
        fs::create_dir(dir.0.path().join("conf.d")).unwrap();
        for (name, text) in fragments {
            fs::write(dir.fragment(name), text).unwrap();
        }
        dir
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("c.toml")
    }

    fn fragment(&self, name: &str) -> PathBuf {
        self.0.path().join("conf.d").join(name)
    }

    fn config(&self) -> Config {
        let loaded = load(&self.main()).unwrap_or_else(|rejected| panic!("{rejected}"));
        assert_eq!(loaded.warnings, []);
        loaded.config
    }

    /// What is reported, with files by their names below the directory.
    fn errors(&self) -> Vec<String> {
        let root = format!("{}/", self.0.path().display());
        let rejected = load(&self.main()).unwrap_err();
        rejected.errors.iter().map(|error| error.to_string().replace(&root, "")).collect()
    }
}

const GRAPHITE: &str = "[sources.g]\ntype = 'graphite'\nlisten = '127.0.0.1:1'\n";
const UDP: &str = "[sources.u]\ntype = 'graphite-udp'\nlisten = '127.0.0.1:1'\n";

#[test]
fn tables_are_joined_and_routes_follow_one_another() {
    let route = |tag: &str| format!("[[routes]]\ntags = ['{tag}', 'graphite']\nto = ['store']\n");
    let dir = Dir::new(
        &format!("{}[destinations.store]\ntype = 'store'\n", route("one")),
        &[
            ("b.toml", UDP),
            ("a.toml", &format!("log.keep.age = '1d'\n{GRAPHITE}{}", route("two"))),
            ("c.toml", "[log]\ndir = 'elsewhere'\n[sources.g]\ntag = 'graphite'\n"),
            // Neither of them is one.
            ("notes.txt", "no TOML"),
            (".hidden.toml", "no TOML"),
        ],
    );
    let config = dir.config();
    let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["g", "u"]);
    let tags: Vec<_> = config.routes.iter().map(|route| route.tags[0].exact().unwrap()).collect();
    assert_eq!(tags, ["one", "two"]);
    assert_eq!(config.log.dir, PathBuf::from("elsewhere"));
    assert!(config.log.keep.age.is_some());
    let files = load(&dir.main()).unwrap().files;
    let read = ["c.toml", "conf.d/a.toml", "conf.d/b.toml", "conf.d/c.toml"];
    assert_eq!(files, read.map(|file| dir.0.path().join(file)));
}

#[test]
fn errors_name_the_file_and_its_line() {
    let dir = Dir::new(
        "[log]\nmax_bytes = '1 B'\ndir = 'a'\n",
        &[
            ("a.toml", GRAPHITE),
            ("b.toml", "# ä\n[log]\n  dir = 'b'\n[sources.g]\nlisten = '127.0.0.1:2'\n"),
            ("c.toml", "\u{feff}[sources.u]\ntype = 'graphite'\nlisten = '127.0.0.1:1'\n"),
        ],
    );
    assert_eq!(
        dir.errors(),
        [
            "c.toml:2:13: log.max_bytes: found \"1 B\"; allowed: a size of at least 1 MiB, such as \
             \"10 GiB\"",
            "conf.d/b.toml:3:3: log.dir: found the key a second time after c.toml:3:1; allowed: \
             each key once in all files",
            "conf.d/b.toml:5:1: sources.g.listen: found the key a second time after \
             conf.d/a.toml:3:1; allowed: each key once in all files",
            "conf.d/c.toml:3:10: sources.u.listen: found \"127.0.0.1:1\", the TCP address of \
             sources.g already; allowed: an address of its own",
        ]
    );
}

#[test]
fn a_broken_fragment_is_reported_with_everything_else() {
    let dir = Dir::new(
        "[log]\nmax_bytes = 7\n",
        &[("a.toml", "[sources.g\n"), ("b.toml", "x = \u{1}\n"), ("c.toml", "")],
    );
    fs::write(dir.fragment("c.toml"), b"a = \"\xff\"\n").unwrap();
    let errors = dir.errors();
    let files: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
    assert!(files.contains(&"conf.d/a.toml") && files.contains(&"conf.d/b.toml"), "{errors:?}");
    assert!(
        errors.iter().any(|error| error.starts_with("conf.d/c.toml:1:6: syntax")),
        "{errors:?}"
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let dir = Dir::new("", &[("a.toml", "")]);
    fs::create_dir(dir.fragment("b.toml")).unwrap();
    let errors = dir.errors();
    assert!(matches!(errors.as_slice(), [one] if one.starts_with("conf.d/b.toml: cannot be read")));
    fs::remove_dir_all(dir.0.path().join("conf.d")).unwrap();
    assert_eq!(dir.config(), Config::default());
    fs::write(dir.0.path().join("conf.d"), "").unwrap();
    assert!(dir.errors()[0].starts_with("conf.d: cannot be read"));
}

#[test]
fn a_literal_secret_wants_its_own_file_closed() {
    let dir =
        Dir::new("", &[("s.toml", "[sources.g]\ntype = 'gravwell'\nsecret = 'literal:x y'\n")]);
    let mode = |file: PathBuf, mode| {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.main(), 0o600);
    mode(dir.fragment("s.toml"), 0o644);
    assert!(dir.errors()[0].contains("0600"), "{:?}", dir.errors());
    mode(dir.main(), 0o644);
    mode(dir.fragment("s.toml"), 0o600);
    assert_eq!(load(&dir.main()).unwrap().warnings.len(), 1);
}
