//! One connection: with TLS or without, by HTTP/1.1 or HTTP/2, ended when its client is silent or takes nothing.
//!
//! ```text
//!   socket ─▶ patience (takes nothing?) ─▶ tls ─▶ HTTP ─▶ stalls (a stream that takes nothing?) ─▶ routes
//! ```

mod answer;
mod patience;
mod stalls;
mod tls;

pub(crate) use self::tls::certificate_expires;
pub(super) use self::{
    answer::{Answerer, Waits},
    tls::Tls,
};
