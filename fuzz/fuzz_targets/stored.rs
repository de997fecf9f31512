//! The fuzz target `stored`: see `ingestry_fuzz::stored`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::stored(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::stored(&_seen);
});
