//! The fuzz target `frames`: see `ingestry_fuzz::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::frames(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::frames(&_seen);
});
