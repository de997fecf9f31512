//! The fuzz target `entry`: see `ingestry_fuzz::entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::entry(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::entry(&_seen);
});
