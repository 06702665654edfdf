//! The stand-in PowerSync service as a program, for the demo and for benchmarks.

use anyhow::{Context, ensure};
use clap::Parser;
use seedbed_stand_in::PowerSync;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The seed of all generated rows: every start has the same ones.
const SEED: u64 = 1;

/// Serves made-up stores the way a PowerSync service does.
#[derive(Debug, Parser)]
#[command(name = "powersync-stand-in")]
struct Arguments {
    /// Address to listen on; loopback only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Serve 60 stores: 58 with 50 to 2,000 rows, one with 100,000, one empty.
    #[arg(long)]
    demo: bool,

    /// A store with this many generated rows; may be repeated.
    #[arg(long, value_name = "ID=COUNT", value_parser = parse_store)]
    store_rows: Vec<(String, u32)>,

    /// How long each operation takes to be sent, in microseconds: about 30 with a real service. Nothing by default.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    operation_micros: u64,

    /// Write the ids of all stores to this file, one JSON object a line.
    #[arg(long, value_name = "PATH")]
    write_stores: Option<PathBuf>,

    /// The secret that tokens are signed with (HS256), base64url.
    #[arg(long, env = "POWERSYNC_STAND_IN_SECRET", hide_env_values = true)]
    secret: Option<String>,

    /// The name of that secret, which tokens have as `kid`.
    #[arg(long, env = "POWERSYNC_STAND_IN_KID")]
    kid: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.listen.ip().is_loopback(),
        "--listen: {} is not a loopback address",
        arguments.listen
    );
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let mut builder = PowerSync::builder()
        .listen(arguments.listen)
        .operation_time(Duration::from_micros(arguments.operation_micros));
    if let Some(secret) = arguments.secret {
        builder = builder.secret(secret);
    }
    if let Some(kid) = arguments.kid {
        builder = builder.kid(kid);
    }
    let service = builder
        .start()
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let mut stores = if arguments.demo {
        demo_stores()
    } else {
        Vec::new()
    };
    stores.extend(arguments.store_rows);
    for (store, rows) in &stores {
        service.add_generated_store(store, *rows, SEED);
    }
    if let Some(path) = &arguments.write_stores {
        write_stores(path, &stores).with_context(|| format!("cannot write {}", path.display()))?;
    }

    let ready =
        json!({"endpoint": service.endpoint(), "secret": service.secret(), "kid": service.kid()});
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;
    drop(stdout);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The demo's stores, by id, with their numbers of rows.
fn demo_stores() -> Vec<(String, u32)> {
    let rows = |number: u32| match number {
        59 => 100_000,
        60 => 0,
        // 0 to 57 times a step that has no factor in common with 58 spreads the sizes evenly, in a mixed order.
        number => 50 + ((number - 1) * 37 % 58) * 1950 / 57,
    };
    (1..=60)
        .map(|number| {
            (
                format!("00000000-0000-4000-8000-{number:012}"),
                rows(number),
            )
        })
        .collect()
}

fn write_stores(path: &Path, stores: &[(String, u32)]) -> std::io::Result<()> {
    let lines = stores
        .iter()
        .map(|(store, _)| format!("{}\n", json!({"store_id": store})));
    std::fs::write(path, lines.collect::<String>())
}

fn parse_store(text: &str) -> Result<(String, u32), String> {
    let (store, rows) = text.rsplit_once('=').ok_or("expected ID=COUNT")?;
    let rows = rows
        .parse()
        .map_err(|_| format!("{rows:?} is not a number of rows"))?;
    Ok((store.to_owned(), rows))
}
