//! The table: which crates there are, and which rooms of each stand on which floor.

/// A crate's sources.
#[derive(Debug, Clone, Copy)]
pub struct Crate {
    /// Where its `Cargo.toml` is.
    pub folder: &'static str,
    /// The root file.
    pub root: &'static str,
    /// Rooms from the ground up, those of a floor separated by spaces. A room uses lower floors only.
    pub floors: &'static [&'static str],
    /// The packages of this workspace that it may depend on.
    pub may_use: &'static [&'static str],
}

/// All crates. A new room gets its place here.
pub const CRATES: &[Crate] = &[
    Crate {
        folder: "protocol",
        root: "protocol/src/lib.rs",
        floors: &[
            "digest error ids",
            "manifest",
            "message",
            "settings telemetry process",
            "objects",
            "snapshots broker",
        ],
        may_use: &[],
    },
    Crate {
        folder: "worker",
        root: "worker/src/lib.rs",
        floors: &[
            "settings metrics backoff",
            "powersync",
            "oplog",
            "snapshot",
            "buckets",
            "seed",
            "service",
            "program",
        ],
        may_use: &["seedbed-protocol"],
    },
    Crate {
        folder: "coordinator",
        root: "coordinator/src/lib.rs",
        floors: &[
            "outage",
            "catalog settings",
            "metrics source upkeep",
            "runs",
            "http",
            "programs",
            "cli",
        ],
        may_use: &["seedbed-protocol", "seedbed-worker"],
    },
    Crate {
        folder: "tests/stand-in",
        root: "tests/stand-in/src/lib.rs",
        floors: &[
            "hash error request",
            "auth data",
            "wire state",
            "http",
            "powersync",
            "builder",
        ],
        may_use: &[],
    },
    Crate {
        folder: "tests",
        root: "tests/testkit/lib.rs",
        floors: TESTKIT,
        may_use: ALL,
    },
    Crate {
        folder: "tests",
        root: "tests/it/main.rs",
        // Groups share what is in testkit, and nothing else.
        floors: &[
            "cluster containers delivery deploy first_launch kubernetes local selfheal stores traces",
        ],
        may_use: ALL,
    },
    Crate {
        folder: "tests/architecture",
        root: "tests/architecture/src/lib.rs",
        floors: &["finding floors tree", "code", "rules"],
        may_use: &[],
    },
];

/// What tests may use: everything.
const ALL: &[&str] = &[
    "seedbed",
    "seedbed-protocol",
    "seedbed-stand-in",
    "seedbed-worker",
];

const TESTKIT: &[&str] = &[
    "machine wait",
    "collector pipeline recordings servers",
    "objects program",
    "cluster serving stand_in",
];

impl Crate {
    /// The folder of its sources.
    pub fn sources(&self) -> &'static str {
        self.root.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// A file's path within the sources.
    pub fn within<'a>(&self, file: &'a str) -> Option<&'a str> {
        file.strip_prefix(self.sources())?.strip_prefix('/')
    }

    /// The room that a file belongs to; none for the root.
    pub fn room<'a>(&self, file: &'a str) -> Option<&'a str> {
        if file == self.root {
            return None;
        }
        let first = self.within(file)?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// The floor of a room, 0 on the ground.
    pub fn floor(&self, room: &str) -> Option<usize> {
        let mut floors = self.floors.iter();
        floors.position(|floor| floor.split_whitespace().any(|name| name == room))
    }
}
