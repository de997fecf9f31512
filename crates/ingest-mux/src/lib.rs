//! Many destinations, one promise: outputs, leases and delivery over a crash-safe log.
