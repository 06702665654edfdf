//! Arguments of what administrators decide from a shell.

use std::{str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use seedbed_protocol::settings::LONGEST_DURATION;

use crate::catalog::{Role, Share};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct WithdrawArgs {
    /// That of this store
    #[arg(value_name = "STORE")]
    pub(in crate::cli) store: Option<String>,
    /// Those that this run made
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) run: Option<String>,
    /// Those of every store
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StoreArgs {
    /// The store
    #[arg(value_name = "STORE")]
    pub(in crate::cli) store: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DeliveryArgs {
    /// Whether snapshots are handed out [default: show it]
    #[arg(value_name = "on|off")]
    pub(in crate::cli) switch: Option<Switch>,
    /// Only to this share of the stores, in per cent; which these are depends on their ids alone
    #[arg(long, value_name = "PERCENT", requires = "switch")]
    pub(in crate::cli) share: Option<Share>,
    /// Only in this form; in every form by default
    #[arg(long, value_name = "FORM", requires = "switch")]
    pub(in crate::cli) form: Option<DeliveredForm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DeliveredForm {
    File,
    Compact,
    Stream,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Notify {
    /// Send a notice to notify.webhook now, once
    Test,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Tokens {
    /// Make a token, and print it: it is not shown again
    Create(NewTokenArgs),
    /// List the tokens: role, end, last use, who made them
    List {
        /// Also those that are revoked
        #[arg(long)]
        all: bool,
    },
    /// Revoke a token and those that were made with it: every server refuses them from then on
    Revoke {
        /// Its name or its id
        #[arg(value_name = "TOKEN")]
        token: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewTokenArgs {
    /// What the audit log calls its bearer
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// What its bearer may do: viewer, operator or admin
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) role: Role,
    /// How long it is good, or never for without an end
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub(in crate::cli) expires: Lifetime,
}

/// A time, or none: `never`.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Lifetime(pub(in crate::cli) Option<Duration>);

impl FromStr for Lifetime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, humantime::parse_duration(text)) {
            ("never", _) => Ok(Self(None)),
            (_, Ok(lifetime)) if lifetime > LONGEST_DURATION => {
                Err("at most 36500d are allowed; say never for a token without an end")
            }
            (_, Ok(lifetime)) if !lifetime.is_zero() => Ok(Self(Some(lifetime))),
            _ => Err("say a time such as 90d, or never"),
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AuditArgs {
    /// Only entries whose actor, action or subject contains this
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) search: Option<String>,
    /// At most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) limit: u32,
}
