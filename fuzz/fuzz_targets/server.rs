//! The fuzz target `server`: see `ingestry_fuzz::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::server(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::server(&_seen);
});
