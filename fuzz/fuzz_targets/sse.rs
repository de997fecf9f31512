//! The fuzz target `sse`: see `ingestry_fuzz::sse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::sse(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::sse(&_seen);
});
