//! The fuzz target `command`: see `ingestry_fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::command(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::command(&_seen);
});
