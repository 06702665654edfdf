//! A stream of lines, cut and read as a worker does before the core extension gets them. The first byte says in
//! which format.

#![no_main]

use bytes::BufMut;
use libfuzzer_sys::fuzz_target;
use seedbed_worker::{
    oplog::{LineKind, ReadLine},
    powersync::{LineBuffer, LineFormat},
};

fuzz_target!(|bytes: &[u8]| {
    let Some((format, stream)) = bytes.split_first() else {
        return;
    };
    let format = if format % 2 == 0 {
        LineFormat::Bson
    } else {
        LineFormat::Ndjson
    };
    let mut buffer = LineBuffer::new(format);
    for piece in stream.chunks(1 << 10) {
        buffer.room().put_slice(piece);
        while let Ok(Some(line)) = buffer.take() {
            let decoded = ReadLine::read(line.clone(), true);
            let counted = ReadLine::read(line, false);
            assert_eq!(decoded.is_ok(), counted.is_ok());
            let (Ok(decoded), Ok(counted)) = (decoded, counted) else {
                continue;
            };
            assert_eq!(decoded.kind, counted.kind);
            if let (Some(Ok(batch)), LineKind::Data { operations }) = (&decoded.batch, counted.kind) {
                assert_eq!(batch.operations.len() as u64, operations);
            }
        }
    }
});
