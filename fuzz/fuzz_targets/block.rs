//! The fuzz target `block`: see `ingestry_fuzz::block`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::block(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::block(&_seen);
});
