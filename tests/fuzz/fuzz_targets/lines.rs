//! A stream of lines, cut and read as a worker does before the core extension gets them. The first byte says in
//! which format.

#![no_main]

use bytes::BufMut;
use libfuzzer_sys::fuzz_target;
use seedbed_worker::{
    line::{LineKind, with_rows_as_text},
    line_buffer::LineBuffer,
    operations,
    stream::LineFormat,
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
            let decoded = operations::decode(&line);
            if let (Ok(batch), Ok(LineKind::Data { operations })) = (&decoded, LineKind::of(&line)) {
                assert_eq!(batch.operations.len() as u64, operations);
            }
            let _ = with_rows_as_text(line.clone());
        }
    }
});
