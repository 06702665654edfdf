//! Keys and secrets as people have them, and what is said of those that cannot be used.

use std::process::Command;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use seedbed_worker::powersync::StreamError;
use testkit::{
    program::Program,
    recordings::recordings,
    serving::{LOCAL_SERVE, Serving, prepared},
};

use super::refused::{SUPABASE, reason};

fn openssl(program: &Program, arguments: &str) {
    let ran = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(program.path("."))
        .output()
        .expect("openssl is installed");
    assert!(ran.status.success(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_in_another_form_is_refused_with_the_command_that_converts_it() {
    let (_service, mut program) = prepared(&["1"], 3).await;
    for made in [
        "ecparam -name prime256v1 -genkey -out sec1.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x -out encrypted.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.pem",
        "genpkey -algorithm RSA -out rsa.pem",
        "pkey -in p384.pem -pubout -out p384.public.pem",
        "pkey -in p521.pem -pubout -out p521.public.pem",
        "req -x509 -key rsa.pem -subj /CN=x -out certificate.pem",
    ] {
        openssl(&program, made);
    }
    let command = ["local", "--stores", "stores.ndjson"];
    program.unset("TOKEN__SECRET");
    program.set("TOKEN__ALGORITHM", "ES256");
    let convert = "openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out key.pkcs8.pem";
    for (file, told) in [
        ("sec1.pem", convert),
        (
            "encrypted.pem",
            "openssl pkcs8 -topk8 -nocrypt -in encrypted.pem",
        ),
        ("p384.pem", "P-384"),
        ("p521.pem", "ec_paramgen_curve:P-256"),
        ("rsa.pem", "token.algorithm = \"RS256\""),
        ("p384.public.pem", "takes the private key"),
        ("stores.ndjson", "it is not PEM"),
    ] {
        program.set("TOKEN__KEY_FILE", file);
        let refused = program.run(&command).await;
        assert_eq!(refused.code, Some(2), "{file}: {refused}");
        assert!(refused.error.contains(told), "{file}: {refused}");
    }
    openssl(&program, convert.strip_prefix("openssl ").unwrap());
    program.set("TOKEN__KEY_FILE", "key.pkcs8.pem");
    let converted = program.run(&command).await;
    assert_eq!(
        converted.code,
        Some(1),
        "signed with, and not known there: {converted}"
    );
    assert!(converted.error.contains("PSYNC_S2101"), "{converted}");
    for (algorithm, told) in [
        ("ES512", "use ES256"),
        ("HS512", "use HS256"),
        ("RSA", "one of"),
    ] {
        program.set("TOKEN__ALGORITHM", algorithm);
        let refused = program.run(&command).await;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.error.contains(told), "{refused}");
    }

    let (_service, mut program2) = prepared(&["1"], 3).await;
    for (file, told) in [
        ("p384.pem", "openssl pkey -in"),
        ("certificate.pem", "openssl x509 -in"),
        ("p521.public.pem", "P-521"),
    ] {
        program2.set(
            "DOWNLOAD__KEY_FILE",
            program.path(file).display().to_string(),
        );
        let refused = program2.run(&LOCAL_SERVE).await;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.error.contains(told), "{refused}");
    }
    program2.set("DOWNLOAD__SECRET", "");
    let public = program.path("p384.public.pem");
    program2.set("DOWNLOAD__KEY_FILE", public.display().to_string());
    let serving = Serving::start(&program2, &LOCAL_SERVE).await;
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
    let said = reason(&serving, &format!("{header}.e30.c2ln")).await;
    assert!(
        said.contains("ES256, and the key here verifies ES384"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_signature_says_how_the_secret_was_read() {
    let (_service, mut program) = prepared(&["1"], 3).await;
    for (secret, told) in [
        (SUPABASE, "token.secret_encoding = \"text\""),
        (
            "text, as Supabase's legacy JWT secret is, 32+",
            "token.secret_encoding = \"base64url\"",
        ),
    ] {
        program.set("TOKEN__SECRET", secret);
        let refused = program.run(&["local", "--stores", "stores.ndjson"]).await;
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(refused.error.contains("PSYNC_S2101"), "{refused}");
        assert!(refused.error.contains(told), "{refused}");
        assert!(!refused.error.contains(secret), "{refused}");
    }
}

/// What a refusal with this code is told to people as.
fn told(code: &str) -> String {
    let refused = StreamError::Refused {
        url: reqwest::Url::parse("https://powersync.example.com/sync/stream").unwrap(),
        status: reqwest::StatusCode::UNAUTHORIZED,
        code: Some(code.to_owned()),
        description: "refused".to_owned(),
        retry_after: None,
    };
    refused.to_string()
}

#[test]
fn every_code_that_a_service_was_seen_to_answer_has_its_advice() {
    let mut codes: Vec<String> = [
        "S2101", "S2103", "S2104", "S2105", "S2106", "S2204", "S2302", "S2304", "S2305",
    ]
    .map(|code| format!("PSYNC_{code}"))
    .into();
    if let Some(folder) = recordings() {
        let recorded = std::fs::read_to_string(folder.join("auth-negatives.txt")).unwrap();
        let quoted = recorded
            .split('"')
            .filter(|text| text.starts_with("PSYNC_"));
        let before = codes.len();
        codes.extend(quoted.map(str::to_owned));
        assert!(codes.len() >= before + 4, "{codes:?}");
    }
    for code in codes {
        let told = told(&code);
        let (_, advice) = told
            .split_once("refused; ")
            .unwrap_or_else(|| panic!("{told}"));
        assert!(advice.len() > 20, "{told}");
    }
    assert!(told("PSYNC_S2105").contains("token.audience"));
    assert!(told("PSYNC_S2106").contains("proxy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_for_tls_is_named_with_its_parameter() {
    let (_service, mut program) = prepared(&["1"], 3).await;
    for (setting, name, url) in [
        (
            "SOURCE__URL",
            "source.url",
            "postgres://me:hunter2@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/nowhere/root.pem",
        ),
        (
            "SOURCE__URL",
            "source.url",
            "mysql://me:hunter2@127.0.0.1:1/app?ssl-mode=VERIFY_CA&ssl-ca=/nowhere/root.pem",
        ),
        (
            "CATALOG__URL",
            "catalog.url",
            "postgres://me:hunter2@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/nowhere/root.pem",
        ),
    ] {
        program.set(setting, url);
        for command in [&["check"][..], &["local"], &["status"]] {
            let refused = program.run(command).await;
            if setting == "SOURCE__URL" && command == ["status"] {
                continue;
            }
            assert_eq!(refused.code, Some(2), "{command:?}: {refused}");
            assert!(refused.error.contains(name), "{command:?}: {refused}");
            let said = ["=/nowhere/root.pem", "No such file"];
            assert!(
                said.iter().all(|said| refused.error.contains(said)),
                "{refused}"
            );
            assert!(!refused.error.contains("hunter2"), "{refused}");
        }
        program.unset(setting);
    }
}
