//! The fuzz target `pickle`: see `ingestry_fuzz::pickle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::pickle(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::pickle(&_seen);
});
