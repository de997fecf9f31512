//! Umbrella crate of the ingestry workspace: re-exports, no code.
