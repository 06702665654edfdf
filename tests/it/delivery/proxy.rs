//! A proxy with TLS in front of the server: nginx, with the lines of `deploy/platforms/TLS.md`.

use std::{net::TcpListener, path::Path, process::Stdio};

use reqwest::{Certificate, Client, Version, header::RANGE};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    machine::leave_out,
    servers::Authority,
    serving::{ADMIN_TOKEN, LOCAL_SERVE, Serving, client_token, database_path, prepared},
    wait,
};
use tokio::process::{Child, Command};

const NGINX: &str = "/usr/sbin/nginx";

/// Starts nginx with the page's server, whose addresses and files are those of this test: one process, which ends when it is dropped.
fn start_nginx(directory: &Path, replaced: &[(&str, &str)]) -> Child {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/platforms/TLS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once("```nginx\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let mut server = block.to_owned();
    for (ours, theirs) in replaced {
        assert_eq!(server.matches(ours).count(), 1, "{ours} in the page");
        server = server.replace(ours, theirs);
    }
    let place = directory.display();
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = folders.map(|name| format!("{name}_temp_path {place}/{name};"));
    let configuration = format!(
        "daemon off; master_process off; pid {place}/pid; error_log stderr warn;\nevents {{}}\nhttp {{ access_log off; {}\n{server}}}\n",
        folders.join(" ")
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new(NGINX);
    nginx
        .arg("-c")
        .arg(file)
        .args(["-p", &place.to_string(), "-e", "stderr"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    nginx.spawn().unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_devices_have_http2_their_own_address_and_streams() {
    if !Path::new(NGINX).exists() {
        leave_out("a server behind nginx", "apt-get install nginx-light");
        return;
    }
    let (_service, mut program) = prepared(&["1"], 10).await;
    let (port, inner) = (free_port(), free_port());
    let address = format!("127.0.0.1:{inner}");
    program.set("SERVE__LISTEN", &address);
    let public = format!("https://localhost:{port}");
    program.set("SERVE__PUBLIC_URL", &public);
    program.set("SERVE__BEHIND_PROXY", "true");
    program.set("LOG__LEVEL", "info");
    let mut serving = Serving::start(&program, &LOCAL_SERVE).await;
    let files = TempDir::new().unwrap();
    let authority = Authority::new(&files, "ours");
    let (certificate, key) = authority.sign_localhost();
    let _nginx = start_nginx(
        files.path(),
        &[
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("/etc/ssl/seedbed.crt", &certificate),
            ("/etc/ssl/seedbed.key", &key),
            ("http://127.0.0.1:8080", &format!("http://{address}")),
        ],
    );
    let pem = std::fs::read(authority.file("pem")).unwrap();
    let client = Client::builder().tls_certs_only([Certificate::from_pem(&pem).unwrap()]);
    let client = client.build().unwrap();

    // What a device is told, and downloads, in part too.
    let url = format!("{public}{}", database_path("1"));
    let token = client_token(json!({"store_id": "1"}));
    let answer = wait::for_some("the store is seeded", async || {
        let asked = client.get(&url).bearer_auth(&token);
        let asked = asked.header("x-forwarded-for", "203.0.113.7");
        let answer = asked.send().await.ok()?;
        (answer.status() == 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.version(), Version::HTTP_2);
    assert!(answer.headers().contains_key("strict-transport-security"));
    let told: Value = answer.json().await.unwrap();
    let file = told["databaseUrl"].as_str().unwrap();
    assert!(file.starts_with(&public), "{file}");
    let whole = client.get(file).send().await.unwrap();
    assert_eq!(whole.bytes().await.unwrap().len() as u64, told["bytes"]);
    let part = client.get(file).header(RANGE, "bytes=0-15").send().await;
    let part = part.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(&part.bytes().await.unwrap()[..], b"SQLite format 3\0");

    // The address is the one that the proxy saw, not what a client says.
    let logged = |process: &testkit::program::Process| process.error().contains("127.0.0.1");
    serving.process.until("requests are logged", logged).await;
    assert!(!serving.process.error().contains("203.0.113.7"));

    // The first line of live progress comes, though the stream does not end.
    let events = client.get(format!("{public}/api/events"));
    let mut events = events.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    assert_eq!(events.status(), 200);
    let first = events.chunk().await.unwrap().unwrap();
    assert!(
        first.starts_with(b"event:") || first.starts_with(b"data:"),
        "{first:?}"
    );
}
