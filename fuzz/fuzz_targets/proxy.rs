//! The fuzz target `proxy`: see `ingestry_fuzz::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::proxy(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::proxy(&_seen);
});
