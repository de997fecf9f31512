//! The fuzz target `http`: see `ingestry_fuzz::http`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::http(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::http(&_seen);
});
