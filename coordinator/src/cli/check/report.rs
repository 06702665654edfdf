//! What a check found, part by part.

use std::error::Error;

use seedbed_protocol::error::chain;
use serde::Serialize;

/// What a check found, or why the part cannot be used.
pub(super) type Checked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The result for one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PartCheck {
    /// The part.
    pub(super) part: &'static str,
    /// Whether it can be used, as far as it could be tried.
    pub(super) ok: bool,
    /// Whether it could be tried from here.
    pub(super) tried: bool,
    /// What was found, or what is wrong and what to do about it.
    pub(super) detail: String,
}

/// The parts so far, in the order in which they were checked.
pub(super) struct Parts(pub(super) Vec<PartCheck>);

impl Parts {
    /// Notes a part, and returns what was found of it.
    pub(super) fn note<T>(
        &mut self,
        part: &'static str,
        checked: Checked<T>,
        detail: impl Fn(&T) -> String,
    ) -> Option<T> {
        let (ok, detail) = match &checked {
            Ok(found) => (true, detail(found)),
            Err(error) => (false, chain(error.as_ref())),
        };
        self.0.push(PartCheck {
            part,
            ok,
            tried: true,
            detail,
        });
        checked.ok()
    }

    /// Notes a part that cannot be tried on this machine, which says nothing about it.
    pub(super) fn untried(&mut self, part: &'static str, detail: impl Into<String>) {
        self.0.push(PartCheck {
            part,
            ok: true,
            tried: false,
            detail: detail.into(),
        });
    }

    /// Notes a part that could not be checked, since another one it needs cannot be used.
    pub(super) fn skip(&mut self, part: &'static str, detail: &str) {
        let detail = detail.to_owned();
        self.0.push(PartCheck {
            part,
            ok: false,
            tried: false,
            detail,
        });
    }
}
