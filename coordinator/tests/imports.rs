//! What `seedbed init --from-sync-config` and `seedbed schema` make of an app's and a service's own files.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// `seedbed` in a directory with the files that it is given.
struct Directory(TempDir);

impl Directory {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            std::fs::write(directory.0.path().join(name), content).unwrap();
        }
        directory
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// The exit code, and what was printed to standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedbed"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEEDBED_")) {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// The settings that were written, without their comments, and the whole file.
    fn init(&self, files: &[&str]) -> (Value, String) {
        let mut arguments = vec!["init", "--from-sync-config"];
        arguments.extend(files);
        let (code, _, error) = self.run(&arguments);
        assert_eq!(code, 0, "{error}");
        let text = self.read("seedbed.toml");
        let file = self.0.path().join("seedbed.toml");
        let read = seedbed_protocol::settings::merge(Some(&file), []).unwrap();
        (read, text)
    }
}

/// A service's configuration, with secrets that must not go anywhere.
const SERVICE: &str = r"
replication:
  connections:
    - type: postgresql
      uri: postgresql://replicator:hunter@2@db.example.com:5432/shop
      sslmode: verify-full
storage: { type: mongodb, uri: !env PS_MONGO_URI }
port: 8089
sync_config:
  path: sync-config.yaml
client_auth:
  audience: [shop-app, other]
  jwks:
    keys:
      - { kty: RSA, kid: backend, alg: RS256, n: AQAB, e: AQAB }
      - { kty: oct, kid: seeder, alg: HS256, k: c3VwZXItc2VjcmV0 }
";

const BUCKETS: &str = r"
bucket_definitions:
  by_store:
    parameters: SELECT id AS store_id FROM stores WHERE id = request.jwt() ->> 'store_id' -- the store
    data:
      - SELECT * FROM products WHERE store_id = bucket.store_id
  by_region:
    parameters: SELECT region FROM stores WHERE stores.region = token_parameters.region
    data: [SELECT * FROM rates WHERE region = bucket.region]
  everywhere:
    data: [SELECT * FROM currencies]
";

#[test]
fn init_proposes_settings_by_the_services_own_files_and_copies_no_secret() {
    let files = [("service.yaml", SERVICE), ("sync-config.yaml", BUCKETS)];
    let directory = Directory::with(&files);
    // The service's configuration names its sync config.
    let (settings, text) = directory.init(&["service.yaml"]);
    assert_eq!(
        settings["source"]["url"],
        "postgres://replicator@db.example.com:5432/shop"
    );
    assert_eq!(
        settings["source"]["query"],
        "SELECT id AS store_id, region FROM stores"
    );
    assert_eq!(settings["token"]["kid"], "seeder");
    assert_eq!(settings["token"]["audience"], "shop-app");
    for said in [
        "Not known: a service's configuration does not say where apps reach it. It listens at port 8089.",
        "it compares the claim store_id with stores.id.",
        "which also takes other.",
    ] {
        assert!(text.replace("\n# ", " ").contains(said), "{said}: {text}");
    }
    for secret in ["hunter", "c3VwZXItc2VjcmV0"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let (_, said, _) = directory.run(&["init", "--force", "--from-sync-config", "service.yaml"]);
    for next in [
        "Not known",
        "powersync.endpoint",
        "SEEDBED_SOURCE__URL",
        "SEEDBED_TOKEN__SECRET",
    ] {
        assert!(said.contains(next), "{next}: {said}");
    }
}

#[test]
fn init_takes_options_before_what_files_suggest() {
    let files = [("service.yaml", SERVICE), ("sync-config.yaml", BUCKETS)];
    let directory = Directory::with(&files);
    let (code, _, error) = directory.run(&[
        "init",
        "--endpoint",
        "https://powersync.example.com",
        "--kid",
        "mine",
        "--from-sync-config",
        "sync-config.yaml",
        "service.yaml",
    ]);
    assert_eq!(code, 0, "{error}");
    let text = directory.read("seedbed.toml");
    assert!(
        text.contains("\nkid = \"mine\"\n")
            && text.contains("\nendpoint = \"https://powersync.example.com\"\n"),
        "{text}"
    );
}

/// A sync config, and the settings that it suggests, by JSON pointers.
type Suggested = (&'static str, &'static [(&'static str, &'static str)]);

#[test]
fn stores_claims_and_subscriptions_follow_from_every_form_of_a_sync_config() {
    let cases: [Suggested; 7] = [
        (
            "bucket_definitions: {mine: {parameters: 'SELECT request.user_id() AS user_id', data: ['SELECT * FROM lists WHERE owner_id = bucket.user_id']}}",
            &[
                (
                    "/source/query",
                    "SELECT DISTINCT owner_id AS store_id FROM lists",
                ),
                ("/token/subject", "{{store_id}}"),
            ],
        ),
        (
            "bucket_definitions: {mine: {parameters: ['SELECT token_parameters.tenant'], data: ['SELECT * FROM \"Tenants\" WHERE id = bucket.tenant']}}",
            &[
                ("/source/query", "SELECT id AS tenant FROM \"Tenants\""),
                ("/source/store_id", "tenant"),
            ],
        ),
        (
            "streams: {mine: {auto_subscribe: true, query: \"SELECT * FROM todos WHERE list_id IN (SELECT l.id FROM public.lists AS l WHERE l.store = auth.parameter('store_id'))\"}}",
            &[(
                "/source/query",
                "SELECT DISTINCT store AS store_id FROM public.lists",
            )],
        ),
        (
            "streams: {mine: {queries: [\"SELECT * FROM stores WHERE auth.parameters() ->> 'store_id' = id\"]}}",
            &[
                ("/source/query", "SELECT id AS store_id FROM stores"),
                ("/streams/0/stream", "mine"),
            ],
        ),
        (
            "streams: {of_store: {query: \"SELECT * FROM stores WHERE id = subscription.parameter('store')\"}, today: {query: \"SELECT * FROM sales WHERE day = subscription.parameter('day')\"}}",
            &[
                ("/source/query", "SELECT id AS store_id FROM stores"),
                ("/streams/0/stream", "of_store"),
                ("/streams/0/parameters/store", "{{store_id}}"),
            ],
        ),
        (
            "with: {mine: 'SELECT store_id FROM members WHERE member_id = auth.user_id()'}\nstreams: {products: {query: 'SELECT * FROM products WHERE store_id IN mine', auto_subscribe: true}}",
            &[(
                "/source/query",
                "SELECT DISTINCT member_id AS store_id FROM members",
            )],
        ),
        (
            "bucket_definitions: {one: {parameters: \"SELECT id FROM stores WHERE id = request.parameters() ->> 'shop'\", data: []}}",
            &[("/parameters/shop", "{{store_id}}")],
        ),
    ];
    for (config, expected) in cases {
        let directory = Directory::with(&[("sync.yaml", config)]);
        let (settings, text) = directory.init(&["sync.yaml"]);
        for (pointer, value) in expected {
            let found = settings.pointer(pointer);
            assert_eq!(found, Some(&json!(value)), "{config}\n{text}");
        }
        let streams = settings["streams"].as_array().map_or(0, Vec::len);
        assert!(
            streams <= 1,
            "a stream is subscribed to with what is not known: {text}"
        );
    }
}

#[test]
fn other_databases_keys_and_variables_are_told_apart() {
    let mongo = "replication: {connections: [{type: mongodb, uri: 'mongodb+srv://me:hunter2@cluster.example.com/shop'}]}\n\
                 client_auth: {supabase: true}\nsync_config: {content: \"bucket_definitions: {s: {parameters: SELECT _id AS id FROM stores WHERE _id = request.jwt() ->> 'store_id', data: []}}\"}";
    let directory = Directory::with(&[("service.yaml", mongo)]);
    let (settings, text) = directory.init(&["service.yaml"]);
    assert_eq!(
        settings["source"]["url"],
        "mongodb+srv://me@cluster.example.com/shop"
    );
    assert_eq!(settings["source"]["collection"], "stores");
    assert_eq!(settings["source"]["fields"], json!({"store_id": "_id"}));
    assert_eq!(settings["token"]["audience"], "authenticated");
    assert!(!text.contains("hunter2"));

    let variables = "replication: {connections: [{type: postgresql, uri: !env PS_SOURCE}]}\n\
                     client_auth: {audience: [a], jwks: {keys: [{kty: EC, kid: k1, alg: ES256}]}}";
    let directory = Directory::with(&[("service.json", variables), ("sync.yaml", BUCKETS)]);
    let (settings, text) = directory.init(&["service.json", "sync.yaml"]);
    let text = text.replace("\n# ", " ");
    assert_eq!(settings["source"]["url"], Value::Null);
    assert!(
        text.contains("from its variable PS_SOURCE")
            && text.contains("token.algorithm = \"ES256\""),
        "{text}"
    );
}

#[test]
fn files_that_are_neither_a_service_nor_a_sync_config_are_refused_and_nothing_is_written() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]";
    let deep = "[".repeat(5_000);
    let files = [
        ("other.yaml", "services: {web: {image: nginx}}"),
        ("broken.yaml", "streams:\n  a: {query: 'SELECT 1'\n"),
        ("empty.yaml", "# nothing\n"),
        ("shape.yaml", "# a number\nbucket_definitions: 5\n"),
        ("bomb.yaml", bomb),
        ("deep.yaml", &deep),
        ("sync.yaml", BUCKETS),
        ("twice.yaml", BUCKETS),
    ];
    let directory = Directory::with(&files);
    for (given, said) in [
        (
            &["other.yaml"][..],
            "neither a PowerSync service's configuration",
        ),
        (&["broken.yaml"], "broken.yaml, line "),
        (&["empty.yaml"], "empty"),
        (
            &["shape.yaml"],
            "shape.yaml, line 2: bucket_definitions must be a table",
        ),
        (&["/dev/zero"], "/dev/zero: it has more than 16 MiB"),
        (&["bomb.yaml"], "too large"),
        (&["deep.yaml"], "deep.yaml, line 1"),
        (&["missing.yaml"], "missing.yaml cannot be read"),
        (&["sync.yaml", "twice.yaml"], "both files are of one kind"),
    ] {
        let mut arguments = vec!["init", "--from-sync-config"];
        arguments.extend(given);
        let (code, _, error) = directory.run(&arguments);
        assert_eq!(code, 2, "{given:?}: {error}");
        assert!(error.contains(said), "{given:?}: {error}");
        assert!(
            !directory.0.path().join("seedbed.toml").exists(),
            "{given:?}"
        );
    }
}

#[test]
fn a_schema_that_cannot_be_read_is_refused_with_its_line() {
    let head = "import { Schema, Table, column } from '@powersync/web';\nimport { other } from './other';\n";
    for (body, said) in [
        ("export const x = 1;", "no `new Schema(…)`"),
        (
            "new Schema({ a: other })",
            "line 3: other comes from another file",
        ),
        ("new Schema({ a: make() })", "line 3: a is made by `make`"),
        (
            "new Schema({\n a: new Table({ b: column.blob }) })",
            "line 4: column.blob is no type of a column",
        ),
        (
            "new Schema({ a: new Table({ b: column.text }, { viewName: on ? 'x' : 'y' }) })",
            "line 3: what on is cannot be read",
        ),
        (
            "const on = true;\nnew Schema({ a: new Table({ b: column.text }, { localOnly: on ? true : false }) })",
            "line 4: what depends on a condition",
        ),
        (
            "const n = 'a' + 'b';\nnew Schema({ a: new Table({ b: column.text }, { viewName: n }) })",
            "line 3: `+` is not expected here",
        ),
        (
            "new Schema({ a: new Table({ b: column.text }, { viewName: `x${1}` }) })",
            "line 3: a text with ${…} in it",
        ),
        (
            "const a = b;\nconst b = a;\nnew Schema({ a })",
            "is made of itself",
        ),
        (
            "new Schema({});\nnew Schema({})",
            "line 4: this is a second schema, the first is in line 3",
        ),
        (
            "new Schema({ a: new Table({ b: column.text }",
            "the file ends within a value",
        ),
        (
            "new Schema({ a: new Table({ id: column.text }) })",
            "table \"a\": the column \"id\"",
        ),
        (
            "new Schema([new Table({ b: column.text })])",
            "line 3: a table in a list has no name",
        ),
        ("new DrizzleAppSchema({})", "JSON.stringify(schema)"),
    ] {
        let directory = Directory::with(&[("app.ts", &format!("{head}{body}"))]);
        let (code, output, error) = directory.run(&["schema", "--from", "app.ts"]);
        assert_eq!((code, output.as_str()), (2, ""), "{body}: {error}");
        assert!(error.contains(said), "{body}: {error}");
    }
    let directory = Directory::with(&[("app.json", "{\n\"tables\": [}"), ("app.dart", "")]);
    for (file, said) in [
        ("app.json", "line 2"),
        ("app.dart", "jsonEncode"),
        ("none.ts", "none.ts cannot be read"),
    ] {
        let (code, _, error) = directory.run(&["schema", "--from", file]);
        assert!(code == 2 && error.contains(said), "{file}: {error}");
    }
}

#[test]
fn a_file_that_is_no_snapshot_has_no_schema() {
    let directory = Directory::with(&[
        ("text.sqlite", "no database, but some text"),
        ("empty.sqlite", ""),
    ]);
    for (file, said) in [
        ("text.sqlite", "no SQLite database"),
        ("empty.sqlite", "no database of PowerSync"),
        ("none.sqlite", "no such file"),
    ] {
        let (code, output, error) = directory.run(&["schema", "--from-snapshot", file]);
        assert_eq!((code, output.as_str()), (2, ""), "{file}: {error}");
        assert!(error.contains(said), "{file}: {error}");
    }
}
