//! What somebody may do.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do; each may what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but the audit log, and changes nothing.
    Viewer,
    /// Starts, retries and cancels runs, takes snapshots back, sets the delivery, reads the audit log.
    Operator,
    /// Everything, also what cannot be undone.
    Admin,
}

impl Role {
    /// Each of them, from the one that may least.
    pub const EACH: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut each = Self::EACH.into_iter();
        let role = each.find(|role| role.name() == text);
        role.ok_or("say viewer, operator or admin")
    }
}
