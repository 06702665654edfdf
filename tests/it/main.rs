//! One binary with all integration tests: one folder a group, so that `-- GROUP::` runs a folder and nothing else.

mod cluster {
    mod broker;
    mod catalog;
    mod failures;
    mod refusals;
    mod retention;
    pub(crate) mod runs;
    mod serve;
    mod sources;
    mod storm;
}

mod delivery {
    mod api;
    mod clients;
    mod dashboard;
    pub(crate) mod download;
    mod limits;
}

mod deploy {
    mod files;
}

mod local {
    mod cli;
    mod stand_in;
    mod sweeps;
    mod worker;
}

mod stores {
    mod contract;
    mod refusals;
    mod worker;
}

mod traces {
    mod jobs;
    mod telemetry;
}
