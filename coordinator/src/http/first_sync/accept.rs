//! Which of the stored streams a device gets: one that it takes as it is stored, else one that is unpacked for it.

use axum::http::{HeaderMap, HeaderName, header};
use seedbed_protocol::manifest::{Encoding, Form, Rendition};

/// A stored stream, and whether it has to be unpacked on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted<'a> {
    pub(super) rendition: &'a Rendition,
    pub(super) unpacked: bool,
}

/// Returns the stream that serves best; `None` if the device takes none of these formats. Nothing is compressed here, and
/// no format is made of the other: both would cost more than the service's own work.
pub(super) fn choose<'a>(streams: &'a [Rendition], headers: &HeaderMap) -> Option<Accepted<'a>> {
    let of_format = |form: Form| match form {
        // As the service has it: JSON for whoever does not ask for BSON by name.
        Form::StreamBson => quality(headers, header::ACCEPT, form.media_type(), None),
        _ => quality(headers, header::ACCEPT, form.media_type(), Some("*/*")),
    };
    let encoded = |encoding: Encoding| match encoding {
        Encoding::Identity => 1.0,
        packed => quality(headers, header::ACCEPT_ENCODING, packed.name(), Some("*")),
    };
    let candidates = streams.iter().map(|rendition| {
        let encoding = encoded(rendition.encoding);
        let accepted = Accepted {
            rendition,
            unpacked: encoding <= 0.0,
        };
        let packed = rendition.encoding != Encoding::Identity && !accepted.unpacked;
        // Compressed for the wire first, then the device's favourite format, then what costs least.
        let rank = (packed, of_format(rendition.form), encoding);
        (accepted, rank, rendition.bytes)
    });
    let candidates = candidates.filter(|(_, (_, format, _), _)| *format > 0.0);
    // Of equals the one that is listed first, as `snapshots.renditions` has them: `max_by` takes the last.
    let candidates = candidates.rev();
    let best = candidates.max_by(|(_, one, bytes), (_, other, more)| {
        let order = one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal);
        order.then(more.cmp(bytes))
    });
    best.map(|(accepted, ..)| accepted)
}

/// Returns the quality (`;q=`) that a header gives to a value, else the one that it gives to `any`; 1 without the header if
/// there is an `any`, and 0 for what is not listed. No encoding is taken by a device that says nothing of encodings.
fn quality(headers: &HeaderMap, name: HeaderName, value: &str, any: Option<&str>) -> f32 {
    let is_encoding = name == header::ACCEPT_ENCODING;
    let values = headers.get_all(name).into_iter();
    let values: Vec<_> = values.filter_map(|header| header.to_str().ok()).collect();
    if values.is_empty() {
        return if any.is_some() && !is_encoding {
            1.0
        } else {
            0.0
        };
    }
    let listed = |wanted: &str| {
        let items = values.iter().flat_map(|header| header.split(','));
        let mut items = items.map(|item| item.split(';').map(str::trim));
        items.find_map(|mut parts| {
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            is_it.then(|| quality.unwrap_or(1.0))
        })
    };
    let quality = listed(value).or_else(|| listed(any?));
    quality.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(kind: &str, bytes: u64) -> Rendition {
        let kind: seedbed_protocol::manifest::RenditionKind = kind.parse().unwrap();
        Rendition {
            form: kind.form,
            encoding: kind.encoding,
            key: kind.to_string(),
            bytes,
            sha256: String::new(),
            unpacked: None,
            finish: None,
            selection: None,
        }
    }

    fn chosen(kinds: &[&str], accept: &str, encoding: &str) -> Option<(String, bool)> {
        let streams: Vec<_> = kinds.iter().map(|kind| stream(kind, 10)).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::ACCEPT, accept),
            (header::ACCEPT_ENCODING, encoding),
        ] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        choose(&streams, &headers)
            .map(|accepted| (accepted.rendition.key.clone(), accepted.unpacked))
    }

    /// As @powersync/node 1.1.0 asks, by way of undici.
    const SDK: &str = "application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8";

    #[test]
    fn a_device_gets_the_stream_that_it_can_read_with_the_least_work() {
        let all = [
            "stream/gzip",
            "stream/zstd",
            "stream-bson/gzip",
            "stream-bson/zstd",
            "stream/identity",
        ];
        let json = "application/x-ndjson";
        for (kinds, accept, encoding, expected) in [
            (
                &all[..],
                SDK,
                "gzip, deflate",
                Some(("stream-bson/gzip", false)),
            ),
            (
                &all[..],
                SDK,
                "gzip;q=0.5, zstd",
                Some(("stream-bson/zstd", false)),
            ),
            (
                &all[..],
                json,
                "gzip, deflate, br",
                Some(("stream/gzip", false)),
            ),
            (&all[..], "", "", Some(("stream/identity", false))),
            (&all[..], "*/*", "*", Some(("stream/gzip", false))),
            (&all[..], "text/html", "gzip", None),
            (&all[..3], "", "identity", Some(("stream/gzip", true))),
            // Fewer bytes before the favourite format.
            (
                &["stream/gzip", "stream-bson/zstd"][..],
                SDK,
                "gzip",
                Some(("stream/gzip", false)),
            ),
            (
                &["stream/gzip"][..],
                SDK,
                "gzip;q=0",
                Some(("stream/gzip", true)),
            ),
            (
                &["stream-bson/zstd"][..],
                SDK,
                "gzip",
                Some(("stream-bson/zstd", true)),
            ),
            (&["stream-bson/gzip"][..], json, "gzip", None),
            (&["stream-bson/gzip"][..], "*/*", "gzip", None),
            (
                &["stream/gzip"][..],
                "application/x-ndjson;q=0, */*",
                "gzip",
                None,
            ),
        ] {
            let expected = expected.map(|(kind, unpacked)| (kind.to_owned(), unpacked));
            assert_eq!(
                chosen(kinds, accept, encoding),
                expected,
                "{kinds:?} {accept} {encoding}"
            );
        }
    }
}
