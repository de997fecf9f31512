//! Index, search and follow over a kept ingest log.
