//! Faults that tests inject into answers.

use crate::hash::mix;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something that goes wrong with one request. Byte counts are those of the body on the wire, after compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks after this many bytes of the body, without an end of the body.
    CutAfter {
        /// Bytes of the body.
        bytes: u64,
    },
    /// The body ends after this many bytes as if it were complete, usually in the middle of a line.
    EndAfter {
        /// Bytes of the body.
        bytes: u64,
    },
    /// Nothing comes any more after this many bytes; the connection stays open until the client gives up.
    StallAfter {
        /// Bytes of the body.
        bytes: u64,
    },
    /// The first bucket of every checkpoint has a checksum that its operations do not add up to.
    WrongChecksum,
    /// An error of the service itself, with its JSON body.
    Error {
        /// The HTTP status.
        status: u16,
        /// The service's code, such as `PSYNC_S2305`.
        code: &'static str,
    },
    /// An error of something in front of the service: a status and a plain text.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header: seconds or an HTTP date.
        retry_after: Option<String>,
    },
    /// 200 with a web page, as from an endpoint that is not PowerSync at all.
    HtmlPage,
    /// The answer starts late.
    Delay(Duration),
}

/// The faults a service still has to commit. The oldest that matches a request is the one it gets.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    random: u64,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    store: Option<String>,
    once: bool,
    probability: f64,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                rules: Vec::new(),
                random: 1,
            }),
        }
    }

    /// The next request gets this fault.
    pub fn push(&self, fault: Fault) {
        self.add(Rule {
            fault,
            store: None,
            once: true,
            probability: 1.0,
        });
    }

    /// The next request for this store gets this fault.
    pub fn push_for(&self, store: impl Into<String>, fault: Fault) {
        self.add(Rule {
            fault,
            store: Some(store.into()),
            once: true,
            probability: 1.0,
        });
    }

    /// Every request for this store gets this fault.
    pub fn always_for(&self, store: impl Into<String>, fault: Fault) {
        self.add(Rule {
            fault,
            store: Some(store.into()),
            once: false,
            probability: 1.0,
        });
    }

    /// Every request gets this fault with a probability of 0 to 1. The sequence is the same in every run.
    pub fn with_probability(&self, probability: f64, fault: Fault) {
        self.add(Rule {
            fault,
            store: None,
            once: false,
            probability,
        });
    }

    /// Forgets all faults that have not happened yet.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// How many faults and rules are waiting.
    pub fn waiting(&self) -> usize {
        self.lock().rules.len()
    }

    /// The fault for a request of this store.
    pub(crate) fn take(&self, store: &str) -> Option<Fault> {
        let State { rules, random } = &mut *self.lock();
        let hit = rules.iter().position(|rule| {
            *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let dice = (mix(*random) >> 11) as f64 / (1_u64 << 53) as f64;
            rule.store.as_deref().is_none_or(|wanted| wanted == store) && dice < rule.probability
        })?;
        if rules[hit].once {
            Some(rules.remove(hit).fault)
        } else {
            Some(rules[hit].fault.clone())
        }
    }

    fn add(&self, rule: Rule) {
        self.lock().rules.push(rule);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
