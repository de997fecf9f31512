//! The fuzz target `gzip`: see `ingestry_fuzz::gzip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::gzip(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::gzip(&_seen);
});
