//! `seedbed schema`: a JSON schema of the settings file, or the app's schema for `schema.file`.

use seedbed_protocol::{process, say, settings};

use crate::cli::{
    args::SchemaArgs,
    exit::CliError,
    imports::{AppSchema, of_snapshot, of_source},
    output::print_text,
};

/// Prints the schema that the arguments ask for; what is left to do goes to standard error.
pub(in crate::cli) fn schema(args: &SchemaArgs) -> Result<u8, CliError> {
    let AppSchema { json, left } = match (&args.from, &args.from_snapshot) {
        (Some(source), _) => of_source(source)?,
        (_, Some(snapshot)) => {
            let runtime = process::runtime().map_err(CliError::Runtime)?;
            runtime.block_on(of_snapshot(snapshot))?
        }
        (None, None) => AppSchema {
            json: settings::schema(),
            left: Vec::new(),
        },
    };
    for sentence in left {
        say!("note: {sentence}");
    }
    print_text(&serde_json::to_string_pretty(&json).unwrap_or_default());
    Ok(0)
}
