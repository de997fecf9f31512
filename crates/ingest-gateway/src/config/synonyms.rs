//! What other programs call the same thing.

/// Names of keys elsewhere, each with the keys that may be meant by it here.
const SYNONYMS: &[(&[&str], &[&str])] = &[
    (&["bind", "address", "addr", "host", "port", "service_address", "bind_address"], &["listen"]),
    (&["password", "shared_secret", "ingest_secret"], &["secret", "token"]),
    (&["bearer", "auth_token", "access_token"], &["token"]),
    (
        &["url", "urls", "hosts", "host", "servers", "server", "address", "endpoints", "brokers"],
        &["targets", "endpoint"],
    ),
    (&["url", "address", "server"], &["endpoint"]),
    (&["path", "directory", "data_dir"], &["dir"]),
    (&["size", "max_size", "limit", "max_disk_usage"], &["max_bytes"]),
    (&["retention", "max_age", "keep_for"], &["age", "keep"]),
    (&["buffer", "buffer_size"], &["receive_buffer", "memory"]),
    (&["enable", "on"], &["enabled"]),
    (&["public", "allow_remote"], &["allow_public"]),
    (&["certificate", "cert_file", "cert_path", "tls_cert", "crt_file", "crt"], &["cert"]),
    (&["private_key", "key_file", "key_path", "tls_key"], &["key"]),
    (&["ca_file", "ca_path", "tls_ca", "ca_cert"], &["ca", "client_ca"]),
    (&["insecure", "insecure_skip_verify", "skip_verify", "verify_certificate"], &["verify"]),
    (&["ssl"], &["tls"]),
    (&["protocol", "codec", "encoding"], &["format", "type"]),
    (&["timeout", "idle"], &["idle_timeout"]),
    (&["mode", "balance", "strategy"], &["policy"]),
    (&["replicas", "replication_factor"], &["replication"]),
    (&["destination", "destinations", "outputs", "sinks"], &["to"]),
    (&["match", "pattern", "filter"], &["tags"]),
    (&["inputs", "input", "receivers", "listeners"], &["sources"]),
    (&["outputs", "output", "sinks", "sink", "exporters"], &["destinations"]),
    (&["pipelines"], &["routes"]),
    (&["rule", "filters", "transforms", "processors"], &["rules"]),
    (&["logging", "logger"], &["logs"]),
    (&["store", "storage", "wal", "buffer"], &["log"]),
    (&["http", "api", "status"], &["admin"]),
];

/// The one of the `known` keys that other programs call `name`.
pub(super) fn synonym<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let meant = SYNONYMS.iter().filter(|(names, _)| names.contains(&name.as_str()));
    let mut meant = meant.flat_map(|(_, keys)| *keys);
    meant.find_map(|key| known.iter().find(|known| *known == key).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_here_is_proposed() {
        assert_eq!(synonym("bind", &["type", "listen"]), Some("listen"));
        assert_eq!(synonym("Bind-Address", &["type", "listen"]), Some("listen"));
        assert_eq!(synonym("bind", &["type", "targets"]), None);
        assert_eq!(synonym("servers", &["type", "targets"]), Some("targets"));
        assert_eq!(synonym("listen", &["listen"]), None);
    }
}
