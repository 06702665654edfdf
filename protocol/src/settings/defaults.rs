//! The commented default of every setting, and the names of the sections.

/// The default of every setting, with its documentation.
pub const DEFAULTS: &str = include_str!("../../seedbed.toml");

/// Every section of the settings file. An unknown section is an error in both programs; a known section that a program
/// does not need is ignored.
pub const SECTIONS: [&str; 21] = [
    "source",
    "powersync",
    "token",
    "schema",
    "sync",
    "parameters",
    "streams",
    "snapshots",
    "verify",
    "buckets",
    "catalog",
    "broker",
    "retention",
    "serve",
    "download",
    "reports",
    "cost",
    "login",
    "notify",
    "worker",
    "log",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_documented_and_every_documented_one_is_known() {
        let documented = DEFAULTS.lines().filter_map(|line| {
            let name = line.trim_start_matches("# ").trim_start_matches('[');
            let name = name.trim_end_matches(']');
            line.ends_with(']')
                .then_some(name)
                .filter(|_| line.starts_with('[') || line.starts_with("# [["))
        });
        assert_eq!(documented.collect::<Vec<_>>(), SECTIONS);
    }
}
