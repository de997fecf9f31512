//! The fuzz target `json`: see `ingestry_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::json(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::json(&_seen);
});
