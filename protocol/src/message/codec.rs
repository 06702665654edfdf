//! Message bodies: one magic byte that names the kind, one version byte, then bincode 2.
//!
//! Versions only ever gain readers: [`decode`] reads every version that was ever released, and answers
//! anything else with an error that says what it saw.

use serde::{Serialize, de::DeserializeOwned};

use super::{
    event::{EventKind, SeedEvent},
    extras::Extras,
    heartbeat::Heartbeat,
    job::{BaseSnapshot, SeedJob, Start},
    v1,
};
use crate::manifest::{Form, Manifest, Rendition};

/// The largest body that is written, in bytes: small enough for every broker and for a queue of many. A checkpoint of
/// 1,000 buckets, PowerSync's limit unless it is raised, takes a few hundredths of it. A message that would be larger
/// leaves the buckets out ([`Body::by_reference`]).
pub const MAX_WRITTEN_BYTES: usize = 1024 * 1024;

/// The largest body that is read, in bytes: what earlier releases wrote.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The version that [`encode`] writes.
pub const VERSION: u8 = 2;

const HEADER_BYTES: usize = 2;

/// A message that the codec can write and read.
pub trait Body: Serialize + DeserializeOwned {
    /// The first byte of every body of this kind.
    const MAGIC: u8;
    /// Its name in errors.
    const NAME: &'static str;
    /// Its layout in version 1.
    #[doc(hidden)]
    type V1: DeserializeOwned + Into<Self>;

    /// Returns what its layout has no room for: it goes with it as headers.
    fn extras(&self) -> Extras {
        Extras::default()
    }

    /// Takes back what came with it as headers.
    fn add_extras(&mut self, _extras: Extras) {}

    /// Returns the message without what its receiver finds in the manifest in object storage; `None` when there is
    /// nothing to leave out.
    fn by_reference(&self) -> Option<Self> {
        None
    }
}

impl Body for SeedJob {
    const MAGIC: u8 = 0xCA;
    const NAME: &'static str = "seed job";
    type V1 = v1::SeedJob;

    fn extras(&self) -> Extras {
        match &self.start {
            Start::Base(base) => Extras {
                renditions: base.all_renditions().cloned().collect(),
                ..Extras::default()
            },
            Start::Full(_) => Extras::default(),
        }
    }

    fn add_extras(&mut self, extras: Extras) {
        if let Start::Base(base) = &mut self.start {
            let BaseSnapshot {
                renditions: files,
                forms,
                sealed,
                ..
            } = &mut **base;
            add(extras.renditions, files, forms, sealed);
        }
    }

    fn by_reference(&self) -> Option<Self> {
        self.without_buckets()
    }
}

impl Body for SeedEvent {
    const MAGIC: u8 = 0xCE;
    const NAME: &'static str = "seed event";
    type V1 = v1::SeedEvent;

    fn extras(&self) -> Extras {
        let (notes, renditions) = match &self.kind {
            EventKind::Completed { manifest } => {
                let renditions = manifest.all_renditions().cloned().collect();
                (manifest.notes.clone(), renditions)
            }
            _ => Default::default(),
        };
        Extras {
            notes,
            renditions,
            steps: self.steps.clone(),
            waiting: 0,
        }
    }

    fn add_extras(&mut self, extras: Extras) {
        self.steps = extras.steps;
        if let EventKind::Completed { manifest } = &mut self.kind {
            let Manifest {
                renditions: files,
                forms,
                sealed,
                ..
            } = &mut **manifest;
            add(extras.renditions, files, forms, sealed);
            manifest.notes = extras.notes;
        }
    }

    fn by_reference(&self) -> Option<Self> {
        self.without_buckets()
    }
}

impl Body for Heartbeat {
    const MAGIC: u8 = 0xCB;
    const NAME: &'static str = "heartbeat";
    // No program wrote one in version 1.
    type V1 = Self;

    fn extras(&self) -> Extras {
        Extras {
            waiting: self.waiting,
            ..Extras::default()
        }
    }

    fn add_extras(&mut self, extras: Extras) {
        self.waiting = extras.waiting;
    }
}

/// Completes `files`, the renditions that a body has, by the same ones of a header, and adds the others to `forms` or
/// `sealed`.
fn add(
    renditions: Vec<Rendition>,
    files: &mut [Rendition],
    forms: &mut Vec<Rendition>,
    sealed: &mut Vec<Rendition>,
) {
    for rendition in renditions {
        if rendition.kind().is_sealed() {
            sealed.push(rendition);
        } else if rendition.form != Form::File {
            forms.push(rendition);
        } else if let Some(file) = files.iter_mut().find(|file| file.key == rendition.key) {
            file.unpacked = rendition.unpacked;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The first byte is of another kind of message.
    #[error(
        "not a {expected}: the body begins with {found}; was something else published to this queue?"
    )]
    Foreign {
        expected: &'static str,
        found: String,
    },
    /// Written by a newer Seedbed.
    #[error("a {name} of version {found}; this program reads up to version {VERSION}: update it")]
    Future { name: &'static str, found: u8 },
    /// Truncated, followed by other bytes, or not what they should be.
    #[error("a damaged {name} of {bytes} bytes: {reason}")]
    Damaged {
        name: &'static str,
        bytes: usize,
        reason: String,
    },
    /// More than [`MAX_WRITTEN_BYTES`] to write, or than [`MAX_BODY_BYTES`] to read.
    #[error("a {name} of {bytes} bytes; at most {most} are allowed")]
    TooLarge {
        name: &'static str,
        bytes: usize,
        most: usize,
    },
}

fn layout() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BODY_BYTES>()
}

/// Returns the body of `message` in the current version, [by reference](Body::by_reference) if it is too large whole.
///
/// # Errors
/// [`CodecError::TooLarge`] when it exceeds [`MAX_WRITTEN_BYTES`] even so.
pub fn encode<T: Body>(message: &T) -> Result<Vec<u8>, CodecError> {
    let whole = encode_whole(message);
    if !matches!(whole, Err(CodecError::TooLarge { .. })) {
        return whole;
    }
    match message.by_reference() {
        Some(smaller) => encode_whole(&smaller),
        None => whole,
    }
}

fn encode_whole<T: Body>(message: &T) -> Result<Vec<u8>, CodecError> {
    let mut body = vec![T::MAGIC, VERSION];
    bincode::serde::encode_into_std_write(message, &mut body, layout()).map_err(|e| {
        CodecError::Damaged {
            name: T::NAME,
            bytes: body.len(),
            reason: e.to_string(),
        }
    })?;
    if body.len() > MAX_WRITTEN_BYTES {
        return Err(CodecError::TooLarge {
            name: T::NAME,
            bytes: body.len(),
            most: MAX_WRITTEN_BYTES,
        });
    }
    Ok(body)
}

/// Reads the message in `body`, of any version up to [`VERSION`].
///
/// # Errors
/// [`CodecError`] says whether the bytes are foreign, from the future, damaged or too many.
pub fn decode<T: Body>(body: &[u8]) -> Result<T, CodecError> {
    let name = T::NAME;
    if body.len() > MAX_BODY_BYTES {
        return Err(CodecError::TooLarge {
            name,
            bytes: body.len(),
            most: MAX_BODY_BYTES,
        });
    }
    let damaged = |reason: String| CodecError::Damaged {
        name,
        bytes: body.len(),
        reason,
    };
    match body.first() {
        Some(&magic) if magic == T::MAGIC => {}
        first => {
            let found = first.map_or("nothing".to_owned(), |byte| format!("byte {byte:#04x}"));
            return Err(CodecError::Foreign {
                expected: name,
                found,
            });
        }
    }
    let Some(&version) = body.get(1) else {
        return Err(damaged("it ends before its version".to_owned()));
    };
    let payload = &body[HEADER_BYTES..];
    match version {
        0 => Err(damaged("version 0 was never released".to_owned())),
        1 => whole::<T::V1>(payload).map(Into::into).map_err(damaged),
        VERSION => whole(payload).map_err(damaged),
        found => Err(CodecError::Future { name, found }),
    }
}

/// Reads a value that takes up all of `payload`.
fn whole<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    let (value, read) =
        bincode::serde::decode_from_slice(payload, layout()).map_err(|e| e.to_string())?;
    match payload.len() - read {
        0 => Ok(value),
        more => Err(format!("{more} bytes follow its end")),
    }
}
