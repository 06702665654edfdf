//! Runs one command: reads the settings, starts runtime and telemetry, and turns the result into an exit code.

use std::process::ExitCode;

use seedbed_protocol::{
    error::chain,
    process::{self, USAGE},
    say, settings,
    telemetry::Telemetry,
    text::is_hidden,
};

use super::{
    args::{Cli, Command, Notify},
    check,
    commands::{
        cancel, config, control, local, quarantine, retry, run, serve, snapshots, status, timeline,
        upkeep::{gc, plan, rebuild, verify},
    },
    exit::CliError,
    output::print_json_error,
};
use crate::settings::Settings;

/// Runs one command; prints what went wrong as `error: …`, or for machines as JSON.
pub fn main(cli: Cli) -> ExitCode {
    let json = cli.json;
    let file = cli.config.clone();
    let located = |error| match error {
        CliError::Config(error) => settings::locate(file.as_deref(), error).into(),
        error => error,
    };
    let code = match execute(cli).map_err(located) {
        Ok(code) => code,
        Err(error) => {
            let (message, code) = (chain(&error), error.exit_code());
            if json {
                print_json_error(&message, code);
            } else {
                say!("error: {message}");
            }
            code
        }
    };
    ExitCode::from(code)
}

/// Prints why the command line is not understood, or the help or the version that it asks for.
pub fn refuse(error: &clap::Error) -> ExitCode {
    // Without a command line that is understood, only the option itself tells that a machine reads this.
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        print_json_error(text.trim_start_matches("error: ").trim_end(), USAGE);
        return USAGE.into();
    }
    // The line is the caller's own, but a script may have put a store's id into it.
    let mut arguments = std::env::args_os();
    if error.use_stderr()
        && arguments.any(|argument| argument.to_string_lossy().contains(is_hidden))
    {
        say!("{}", error.to_string().trim_end());
        return USAGE.into();
    }
    error.exit()
}

fn execute(cli: Cli) -> Result<u8, CliError> {
    // These need no settings that make sense.
    match &cli.command {
        Command::Config => {
            config::config(cli.config.as_deref(), cli.json)?;
            return Ok(0);
        }
        Command::Init(args) => return config::init(args, cli.config.as_deref(), cli.json),
        Command::Schema(args) => return config::schema(args),
        Command::Man { directory } => return config::man(directory, cli.json),
        Command::Completions { shell, program } => {
            config::completions(*shell, *program);
            return Ok(0);
        }
        _ => {}
    }
    let settings = Settings::load(cli.config.as_deref())?;
    let runtime = process::runtime().map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let telemetry = Telemetry::start("seedbed", &settings.log)?;
        for warning in settings::warnings(cli.config.as_deref())? {
            tracing::warn!("{warning}");
        }
        let code = command(cli.command, settings, cli.json).await;
        telemetry.shutdown();
        code
    })
}

async fn command(command: Command, settings: Settings, json: bool) -> Result<u8, CliError> {
    match command {
        Command::Local(args) => local::local(args, settings, json).await,
        Command::Run(args) => run::run(args, settings, json).await,
        Command::Retry(args) => retry::retry(args, settings, json).await,
        Command::Quarantine(args) => quarantine::quarantine(args, &settings, json).await,
        Command::Cancel(args) => cancel::cancel(args, settings, json).await,
        Command::Serve(args) => serve::serve(args, settings, json).await,
        Command::Status(args) => status::status(args, &settings, json).await,
        Command::Timeline(args) => timeline::timeline(args, &settings, json).await,
        Command::Snapshots(args) => snapshots::snapshots(args, &settings, json).await,
        Command::Verify(args) => verify::verify(args, &settings, json).await,
        Command::Withdraw(args) => control::withdraw::withdraw(args, &settings, json).await,
        Command::Delivery(args) => control::delivery::delivery(args, &settings, json).await,
        Command::Forget(args) => control::forget::forget(args, &settings, json).await,
        Command::Allow(args) => control::forget::allow(args, &settings, json).await,
        Command::Gc(args) => gc::gc(args, &settings, json).await,
        Command::Plan(args) => plan::command(args, &settings, json).await,
        Command::RebuildCatalog => rebuild::rebuild(&settings, json).await,
        Command::Notify { what: Notify::Test } => control::notify::test(&settings, json).await,
        Command::Tokens { what } => control::tokens::tokens(what, &settings, json).await,
        Command::Audit(args) => control::audit::audit(args, &settings, json).await,
        Command::Check(args) => check::check(&args, &settings, json).await,
        // Printed before the settings were read.
        Command::Config
        | Command::Init(_)
        | Command::Schema(_)
        | Command::Man { .. }
        | Command::Completions { .. } => Ok(0),
    }
}
