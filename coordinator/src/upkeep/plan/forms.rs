//! What each rendition adds: bytes, as a share of the SQLite file, and CPU for a row.

use seedbed_protocol::manifest::{Encoding, Form, RenditionKind};

/// The size of a rendition as a share of the file's, and a worker's CPU to make it, in seconds a row. `tests/bench/README.md`,
/// "renditions" and "forms"; a stream has the operations of the compact form. What is encrypted is as large as it was.
pub(super) fn cost(kind: RenditionKind) -> (f64, f64) {
    // Making the compact form, or the stream of it.
    let (plain, made) = match kind.form {
        Form::File => (1.0, 0.0),
        Form::Compact | Form::Stream | Form::StreamBson => (0.45, 0.6e-6),
    };
    let (size, packed) = match (kind.form, kind.encoding) {
        (_, Encoding::Identity) => (plain, 0.0),
        (_, Encoding::Sqlcipher4 | Encoding::Chacha20) => (plain, 1e-6),
        (Form::File, Encoding::Gzip) => (0.28, 41e-6),
        (Form::File, Encoding::Zstd) => (0.26, 7.4e-6),
        (_, Encoding::Gzip) => (0.116, 13e-6),
        (_, Encoding::Zstd) => (0.111, 2.6e-6),
    };
    (size, made + packed)
}

/// The same for all of these together.
pub(super) fn all(kinds: &[RenditionKind]) -> (f64, f64) {
    let costs = kinds.iter().map(|&kind| cost(kind));
    costs.fold((0.0, 0.0), |(bytes, cpu), (more, longer)| {
        (bytes + more, cpu + longer)
    })
}
