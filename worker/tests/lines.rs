//! Reading a line, however broken, neither panics nor takes more memory than a few times its length.
//!
//! `SEEDBED_LINE_MUTATIONS` sets how many broken lines are read, `SEEDBED_LINE_SEED` the generator's seed:
//! `SEEDBED_LINE_MUTATIONS=10000000 SEEDBED_LINE_SEED=$RANDOM cargo test --release -p seedbed-worker --test lines`.
//! `tests/fuzz` looks for more with a fuzzer.

use allocation_counter::measure;
use bson::{Bson, doc};
use bytes::{BufMut, Bytes};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use seedbed_worker::{
    oplog::{LineKind, ReadLine, decode},
    powersync::{Line, LineBuffer, LineFormat, MAX_LINE_BYTES, StreamError},
};

const MUTATIONS: u64 = 60_000;
const SEED: u64 = 20_261_123;

/// How many bytes may be allocated at a time for each byte of a line, and for a line of any length.
const BYTES_PER_BYTE: u64 = 16;
const BYTES_AT_LEAST: u64 = 64 << 10;

fn number(variable: &str, otherwise: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(otherwise, |value| value.parse().expect(variable))
}

fn kind(line: &Line) -> Result<LineKind, StreamError> {
    ReadLine::read(line.clone(), false).map(|read| read.kind)
}

/// Everything that reads lines before the core extension does.
fn read(line: &Line) -> bool {
    let decoded = ReadLine::read(line.clone(), true);
    let undecoded = ReadLine::read(line.clone(), false);
    assert_eq!(decoded.is_ok(), undecoded.is_ok(), "{line:?}");
    decoded.is_ok()
}

fn read_within_bounds(line: &Line) -> bool {
    let mut readable = false;
    let used = measure(|| readable = read(line));
    let bound = BYTES_PER_BYTE * line.bytes.len() as u64 + BYTES_AT_LEAST;
    assert!(
        used.bytes_max <= bound,
        "{} bytes for a line of {}: {:?}",
        used.bytes_max,
        line.bytes.len(),
        &line.bytes[..line.bytes.len().min(300)]
    );
    readable
}

fn line(format: LineFormat, bytes: impl Into<Bytes>) -> Line {
    Line {
        format,
        bytes: bytes.into(),
    }
}

/// A line of every kind.
fn documents() -> Vec<bson::Document> {
    let bucket = doc! { "bucket": "1#store[\"x\"]", "checksum": -5, "count": 2, "priority": 3, "subscriptions": [{ "default": 0 }] };
    let row = r#"{"id":"1","name":"Caf\u00e9 \"日\"","n":1.5}"#;
    vec![
        doc! { "checkpoint": { "last_op_id": "9", "buckets": [bucket.clone(), { "bucket": "b", "checksum": 4294967295.0 }],
        "streams": [{ "name": "s", "is_default": true, "errors": [{ "subscription": 0, "message": "no" }] }] } },
        doc! { "checkpoint_diff": { "last_op_id": "10", "updated_buckets": [bucket], "removed_buckets": ["b"] } },
        doc! { "data": { "bucket": "b", "after": "0", "has_more": false, "next_after": "4", "data": [
        { "op_id": "1", "op": "PUT", "object_type": "products", "object_id": "1", "checksum": 7, "subkey": "s/x", "data": row },
        { "op_id": "2", "op": "REMOVE", "object_type": "products", "object_id": "2", "checksum": 8.0, "subkey": null, "data": null },
        { "op_id": "3", "op": "MOVE", "checksum": -1 },
        { "op_id": "4", "op": "CLEAR", "checksum": 4294967295.0 } ] } },
        doc! { "data": { "bucket": "b", "data": [{ "op_id": "5", "op": "PUT", "data": { "id": "as an object", "n": [1, 2] } }] } },
        doc! { "partial_checkpoint_complete": { "last_op_id": "10", "priority": 1 } },
        doc! { "checkpoint_complete": { "last_op_id": "10" } },
        doc! { "token_expires_in": 31 },
        doc! { "news": { "of": ["later", "services"] } },
    ]
}

fn fixtures(format: LineFormat) -> Vec<Line> {
    let encode = |document: bson::Document| match format {
        LineFormat::Bson => document.to_vec().unwrap(),
        LineFormat::Ndjson => serde_json::to_vec(&document).unwrap(),
    };
    let lines = documents().into_iter().map(encode);
    lines.map(|bytes| line(format, bytes)).collect()
}

/// One of the ways in which a line can be broken.
fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..9) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        2 if at < bytes.len() => bytes[at] = random.random(),
        3 => bytes.insert(at, random.random()),
        4 if at < bytes.len() => drop(bytes.remove(at)),
        // A length that lies.
        5 if at + 4 <= bytes.len() => {
            let length = bytes.len() as i32;
            let lies = [
                0,
                1,
                -1,
                4,
                5,
                i32::MIN,
                i32::MAX,
                length,
                length - 1,
                length + 1,
            ];
            let lie = lies.choose(random).unwrap();
            bytes[at..at + 4].copy_from_slice(&lie.to_le_bytes());
        }
        6 => {
            let from = random.random_range(0..=other.len());
            bytes.splice(at.., other[from..].iter().copied());
        }
        7 => {
            let piece = bytes[at..(at + random.random_range(0..64)).min(bytes.len())].to_vec();
            let times = random.random_range(1..50);
            bytes.splice(at..at, piece.repeat(times));
        }
        _ => {
            let token: &[u8] = [
                b"null".as_slice(),
                b"{",
                b"}",
                b"[",
                b"]",
                b"\"",
                b"\\u0000",
                b"1e999",
                b"-",
                b",",
            ]
            .choose(random)
            .unwrap();
            bytes.splice(at..at, token.iter().copied());
        }
    }
}

#[test]
fn every_kind_of_line_can_be_read() {
    for format in [LineFormat::Bson, LineFormat::Ndjson] {
        for line in fixtures(format) {
            assert!(read_within_bounds(&line), "{line:?}");
        }
    }
}

#[test]
fn broken_lines_are_errors_within_bounds() {
    let seed = number("SEEDBED_LINE_SEED", SEED);
    let mut random = StdRng::seed_from_u64(seed);
    let (bson, json) = (fixtures(LineFormat::Bson), fixtures(LineFormat::Ndjson));
    let mut refused = 0;
    let mutations = number("SEEDBED_LINE_MUTATIONS", MUTATIONS);
    for _ in 0..mutations {
        let lines = if random.random() { &bson } else { &json };
        let (original, other) = (lines.choose(&mut random), lines.choose(&mut random));
        let (original, other) = (original.unwrap(), other.unwrap());
        let mut bytes = original.bytes.to_vec();
        for _ in 0..random.random_range(1..5) {
            mutate(&mut random, &mut bytes, &other.bytes);
        }
        if original.format == LineFormat::Bson && bytes.len() >= 4 && random.random() {
            // As the stream would cut it.
            let length = bytes.len() as i32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
        }
        refused += u64::from(!read_within_bounds(&line(original.format, bytes)));
    }
    assert!(refused * 3 > mutations, "only {refused} lines were refused");
}

#[test]
fn a_line_that_ends_early_is_nothing_that_is_acted_upon_wherever_it_ends() {
    for format in [LineFormat::Bson, LineFormat::Ndjson] {
        for whole in fixtures(format) {
            for end in 0..whole.bytes.len() {
                let cut = line(format, whole.bytes.slice(..end));
                read_within_bounds(&cut);
                assert!(decode(&cut).is_err(), "{cut:?}");
                // The core extension reads the whole of these, and refuses it.
                let passed_on = |kind: &LineKind| {
                    matches!(kind, LineKind::Other | LineKind::CheckpointComplete)
                };
                let kind = kind(&cut);
                assert!(kind.as_ref().map_or(true, passed_on), "{cut:?}: {kind:?}");
            }
        }
    }
}

#[test]
fn a_length_that_lies_takes_no_more_memory_than_the_line_has_wherever_it_is() {
    for whole in fixtures(LineFormat::Bson) {
        let length = whole.bytes.len() as i32;
        for lie in [
            i32::MIN,
            -1,
            0,
            4,
            length - 1,
            length + 1,
            1 << 30,
            i32::MAX,
        ] {
            for at in 0..=whole.bytes.len() - 4 {
                let mut bytes = whole.bytes.to_vec();
                bytes[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                read_within_bounds(&line(LineFormat::Bson, bytes));
            }
        }
    }
}

#[test]
fn garbage_is_an_error_within_bounds() {
    let mut random = StdRng::seed_from_u64(number("SEEDBED_LINE_SEED", SEED));
    for _ in 0..2_000 {
        let mut bytes = vec![0; random.random_range(0..2_000)];
        random.fill(&mut bytes[..]);
        for format in [LineFormat::Bson, LineFormat::Ndjson] {
            read_within_bounds(&line(format, bytes.clone()));
        }
    }
}

#[test]
fn deep_nesting_is_refused_before_anything_follows_it() {
    const DEPTH: usize = 1_000_000;
    // Each document is a length, one field named x with the next one, and a zero.
    let nested = |outermost: &str| {
        let mut bytes = Vec::new();
        let inner = 5 + 8 * DEPTH;
        bytes.put_i32_le((4 + 1 + outermost.len() + 1 + inner + 1) as i32);
        bytes.put_u8(3);
        bytes.put_slice(outermost.as_bytes());
        bytes.put_u8(0);
        for level in 0..DEPTH {
            bytes.put_i32_le((inner - 8 * level) as i32);
            bytes.put_slice(b"\x03x\0");
        }
        bytes.put_i32_le(5);
        bytes.put_bytes(0, 1 + DEPTH + 1);
        line(LineFormat::Bson, bytes)
    };
    for kind in ["checkpoint", "checkpoint_diff", "data", "news"] {
        let error = self::kind(&nested(kind)).unwrap_err();
        assert!(error.to_string().contains("nested too deep"), "{error}");
        assert!(decode(&nested(kind)).is_err());
        let text = format!("{{\"{kind}\":{}", "{\"x\":".repeat(DEPTH));
        read_within_bounds(&line(LineFormat::Ndjson, text.into_bytes()));
    }
}

#[test]
fn lines_of_nothing_but_small_things_take_no_more_than_others() {
    const COUNT: usize = 200_000;
    for small in [
        "{}",
        "[]",
        "{\"data\":{}}",
        "0",
        "{\"op_id\":\"1\",\"op\":\"MOVE\",\"checksum\":0}",
    ] {
        let items = vec![small; COUNT].join(",");
        for whole in [
            format!("{{\"data\":{{\"bucket\":\"b\",\"data\":[{items}]}}}}"),
            format!("{{\"checkpoint\":{{\"last_op_id\":\"1\",\"buckets\":[{items}]}}}}"),
        ] {
            read_within_bounds(&line(LineFormat::Ndjson, whole.into_bytes()));
        }
    }
    let small = vec![Bson::Document(doc! {}); COUNT];
    let data = doc! { "data": { "bucket": "b", "data": small } };
    read_within_bounds(&line(LineFormat::Bson, data.to_vec().unwrap()));
}

#[test]
fn a_stream_without_an_end_of_line_is_refused_at_the_limit() {
    for format in [LineFormat::Bson, LineFormat::Ndjson] {
        let mut fed = 0;
        let used = measure(|| {
            let mut buffer = LineBuffer::new(format);
            // What a BSON document of just under the limit begins with; no newline.
            let mut piece = vec![b' '; 1 << 20];
            piece[..4].copy_from_slice(&(MAX_LINE_BYTES as i32).to_le_bytes());
            let error = loop {
                buffer.room().put_slice(&piece);
                fed += piece.len();
                match buffer.take() {
                    Ok(_) => piece[..4].copy_from_slice(&i32::MAX.to_le_bytes()),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("more than"), "{error}");
        });
        assert!(fed <= MAX_LINE_BYTES + (2 << 20), "{fed}");
        // It doubles as it grows, and has both for a moment.
        assert!(used.bytes_max <= 4 * MAX_LINE_BYTES as u64, "{used:?}");
    }
}

#[test]
fn however_a_stream_is_cut_its_lines_are_the_same() {
    let mut random = StdRng::seed_from_u64(number("SEEDBED_LINE_SEED", SEED));
    for format in [LineFormat::Bson, LineFormat::Ndjson] {
        let lines = fixtures(format);
        let mut stream = Vec::new();
        for line in &lines {
            stream.extend_from_slice(&line.bytes);
            if format == LineFormat::Ndjson {
                stream.extend_from_slice(if random.random() { b"\n" } else { b"\n\n" });
            }
        }
        for _ in 0..200 {
            let mut buffer = LineBuffer::new(format);
            let mut found = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(random.random_range(1..=rest.len().min(100)));
                buffer.room().put_slice(piece);
                rest = more;
                while let Some(line) = buffer.take().unwrap() {
                    found.push(line.bytes);
                }
            }
            assert!(buffer.is_empty());
            let expected: Vec<_> = lines.iter().map(|line| line.bytes.clone()).collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_row_of_a_line_that_is_loaded_takes_hardly_an_allocation() {
    const COUNT: usize = 1_000;
    let operation = |index: usize| {
        let data = format!("{{\"id\":\"{index}\",\"name\":\"a \\\"name\\\"\"}}");
        doc! {
            "op_id": (index + 1).to_string(), "op": "PUT", "object_type": "products",
            "object_id": index.to_string(), "checksum": 1, "subkey": format!("\"{index}\""), "data": data,
        }
    };
    let operations: Vec<Bson> = (0..COUNT).map(|index| operation(index).into()).collect();
    let document = doc! { "data": { "bucket": "b", "data": operations, "after": "0" } };
    let json = serde_json::to_vec(&document).unwrap();
    // JSON's quotes have to be unescaped: in the row's text and in its subkey.
    for (line, most) in [
        (line(LineFormat::Bson, document.to_vec().unwrap()), 0),
        (line(LineFormat::Ndjson, json), 2),
    ] {
        let mut count = 0;
        let used = measure(|| count = decode(&line).unwrap().operations.len());
        assert_eq!(count, COUNT);
        let rows = COUNT as u64;
        assert!(
            used.count_total <= most * rows + rows / 10,
            "{:?}: {} allocations for {rows} rows",
            line.format,
            used.count_total
        );
    }
}
