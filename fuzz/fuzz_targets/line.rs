//! The fuzz target `line`: see `ingestry_fuzz::line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::line(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::line(&_seen);
});
