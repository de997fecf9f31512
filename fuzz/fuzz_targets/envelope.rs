//! The fuzz target `envelope`: see `ingestry_fuzz::envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::envelope(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::envelope(&_seen);
});
