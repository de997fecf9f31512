//! The fuzz target `multipart`: see `ingestry_fuzz::multipart`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::multipart(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::multipart(&_seen);
});
