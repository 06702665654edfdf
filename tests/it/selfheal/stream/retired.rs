//! Settings that have a successor are read for one version.

use testkit::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_setting_is_read_with_a_warning_that_names_its_successor() {
    for named in ["seedbed.toml", "SEEDBED_POWERSYNC__MAX_RECONNECTS"] {
        let (_service, mut program): (_, Program) = testkit::serving::prepared(&["7"], 1).await;
        if named == "seedbed.toml" {
            program.write("seedbed.toml", "[powersync]\nmax_reconnects = 100\n");
        } else {
            program.set("POWERSYNC__MAX_RECONNECTS", "100");
        }
        let ended = program.run(&["local", "--stores", "stores.ndjson"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        for word in [named, "powersync.max_reconnects", "powersync.give_up_after"] {
            assert!(ended.error.contains(word), "{word}: {ended}");
        }
        let config = program.run(&["config", "--json"]).await;
        assert!(config.output.contains("1500s"), "{config}");
        assert!(!config.output.contains("max_reconnects"), "{config}");
    }
}
