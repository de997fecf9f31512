//! The fuzz target `client`: see `ingestry_fuzz::client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::client(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::client(&_seen);
});
