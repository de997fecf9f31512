//! The fuzz target `protobuf`: see `ingestry_fuzz::protobuf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _seen = ingestry_fuzz::protobuf(input);
    #[cfg(feature = "plant")]
    ingestry_fuzz::plant::protobuf(&_seen);
});
