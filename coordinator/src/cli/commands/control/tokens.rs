//! `seedbed tokens`: makes, lists and revokes tokens of the API.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    catalog::{ApiToken, Catalog, NewToken},
    cli::{
        args::{NewTokenArgs, Tokens},
        connect::existing_catalog,
        exit::CliError,
        layout::{Sheet, width},
        on_record::{deed, on_record},
        output::{age, print_json, print_lines},
    },
    settings::Settings,
};

pub(in crate::cli) async fn tokens(
    what: Tokens,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let catalog = existing_catalog(settings).await?;
    match what {
        Tokens::Create(args) => create(&catalog, args, json).await?,
        Tokens::List { all } => list(&catalog, all, json).await?,
        Tokens::Revoke { token } => revoke(&catalog, &token, json).await?,
    }
    catalog.close().await;
    Ok(0)
}

async fn create(catalog: &Catalog, args: NewTokenArgs, json: bool) -> Result<(), CliError> {
    let asked = json!({"name": args.name, "role": args.role.name()});
    let deed = deed("token.create", args.name.clone(), &asked);
    let new = NewToken {
        name: args.name,
        role: args.role,
        made_by: deed.actor.clone(),
        made_with: None,
        lifetime: args.expires.0,
    };
    let (made, token) = on_record(catalog, deed, catalog.create_token(&new)).await?;
    if json {
        let mut line = serde_json::to_value(&made).unwrap_or_default();
        line["token"] = token.expose().into();
        print_json(&line);
        return Ok(());
    }
    // Alone on its line, for scripts too.
    print_lines(token.expose());
    let end = made.expires_at.map_or_else(
        || "without an end".to_owned(),
        |end| format!("good until {}", end.format("%Y-%m-%d %H:%M UTC")),
    );
    seedbed_protocol::say!(
        "token {:?}, {}, {end}: it is not shown again",
        made.name,
        made.role
    );
    Ok(())
}

async fn list(catalog: &Catalog, all: bool, json: bool) -> Result<(), CliError> {
    let now = catalog.now().await?;
    let mut tokens = catalog.tokens(None).await?;
    tokens.retain(|token| all || token.revoked_at.is_none());
    if json {
        tokens.iter().for_each(print_json);
        return Ok(());
    }
    if tokens.is_empty() {
        print_lines("there is no token; `seedbed tokens create NAME --role viewer` makes one");
        return Ok(());
    }
    let mut sheet = Sheet::new(&[
        ("NAME", 7, false),
        ("ROLE", 6, false),
        ("STATE", 5, false),
        ("LAST USE", 4, false),
        ("MADE BY", 2, false),
        ("MADE", 1, false),
        ("ID", 3, false),
    ]);
    for token in tokens {
        let ago = |at: DateTime<Utc>| format!("{} ago", age(now - at));
        sheet.add([
            token.name.clone(),
            token.role.name().to_owned(),
            state(&token, now),
            token.last_used_at.map_or_else(|| "never".to_owned(), ago),
            token.made_by.clone(),
            ago(token.made_at),
            token.id.clone(),
        ]);
    }
    print_lines(&sheet.fit(width()));
    Ok(())
}

fn state(token: &ApiToken, now: DateTime<Utc>) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if end <= now => "expired".to_owned(),
        (None, Some(end)) => format!("{} left", age(end - now)),
        (None, None) => "no end".to_owned(),
    }
}

async fn revoke(catalog: &Catalog, token: &str, json: bool) -> Result<(), CliError> {
    let deed = deed("token.revoke", token, &Value::Null);
    let revoked = on_record(catalog, deed, catalog.revoke_token(token, None)).await?;
    if json {
        print_json(&json!({"revoked": revoked}));
        return Ok(());
    }
    let others = match revoked - 1 {
        0 => String::new(),
        1 => ", and the one that was made with it".to_owned(),
        others => format!(", and {others} that were made with it"),
    };
    print_lines(&format!(
        "{token} is revoked{others}: every server refuses it from now on"
    ));
    Ok(())
}
