//! Who may depend on whom: the picture in `docs/architecture.md`, as data.

/// What a crate is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A library whose core works without tokio.
    Core,
    /// A library.
    Library,
    /// The library with the program in it.
    Program,
    /// Re-exports only: every arrow is behind a feature.
    Umbrella,
    /// Never shipped: may use everything, and nothing may use it.
    Beside,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Workspace crates that it may always need.
    pub(crate) needs: &'static [&'static str],
    /// Workspace crates that it may need behind a feature only.
    pub(crate) may_add: &'static [&'static str],
}

/// Every crate, the ground floor first.
pub(crate) const ROOMS: &[Room] = &[
    room("ingest-entry", Kind::Core, &[], &[]),
    room("ingest-wal", Kind::Core, &[], &[]),
    room("graphite-proto", Kind::Core, &[], &[]),
    room("hydra-ws", Kind::Core, &[], &[]),
    room("loggregator-consumer", Kind::Library, &[], &[]),
    room("ingest-wire", Kind::Library, &["ingest-entry"], &[]),
    room("ingest-store", Kind::Core, &["ingest-entry", "ingest-wal"], &[]),
    room("ingest-kafka", Kind::Library, &[], &["hydra-ws"]),
    room("ingest-mux", Kind::Library, &["ingest-entry", "ingest-wal"], &["ingest-wire"]),
    room("ingest-gateway", Kind::Program, LIBRARIES, &[]),
    room("ingestry", Kind::Umbrella, &[], UMBRELLA),
    room("xtask", Kind::Beside, &[], &[]),
    room("examples", Kind::Beside, &[], &[]),
];

const LIBRARIES: &[&str] = &[
    "ingest-entry",
    "ingest-wal",
    "graphite-proto",
    "hydra-ws",
    "loggregator-consumer",
    "ingest-wire",
    "ingest-store",
    "ingest-kafka",
    "ingest-mux",
];

const UMBRELLA: &[&str] = &[
    "ingest-entry",
    "ingest-wal",
    "graphite-proto",
    "hydra-ws",
    "loggregator-consumer",
    "ingest-wire",
    "ingest-store",
    "ingest-kafka",
    "ingest-mux",
    "ingest-gateway",
];

const fn room(
    name: &'static str,
    kind: Kind,
    needs: &'static [&'static str],
    may_add: &'static [&'static str],
) -> Room {
    Room { name, kind, needs, may_add }
}

pub(crate) fn find(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down_only() {
        // The table is in floor order, so an arrow may name earlier rows only: no cycle can exist.
        for (index, room) in ROOMS.iter().enumerate() {
            for target in room.needs.iter().chain(room.may_add) {
                let position = ROOMS.iter().position(|other| other.name == *target);
                assert!(position.is_some_and(|p| p < index), "{} -> {target}", room.name);
            }
        }
    }

    #[test]
    fn the_umbrella_covers_every_library() {
        let shipped = |kind| matches!(kind, Kind::Core | Kind::Library | Kind::Program);
        for room in ROOMS.iter().filter(|room| shipped(room.kind)) {
            assert!(UMBRELLA.contains(&room.name), "{}", room.name);
        }
    }
}
