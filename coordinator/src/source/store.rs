//! One store of the list: what a source yields, and what a run lists.

use seedbed_protocol::message::Scope;

/// One store of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// What selects its rows.
    pub scope: Scope,
    /// The line of a file or the row of a query's result, from 1.
    pub position: u64,
}
