//! `seedbed delivery`: which devices get snapshots.

use serde_json::{Map, Value, json};

use crate::{
    catalog::{Delivery, Share, Shared},
    cli::{
        args::{DeliveredForm, DeliveryArgs, Switch},
        connect::existing_catalog,
        exit::CliError,
        on_record::{deed, on_record},
        output::{print_json, print_lines},
    },
    settings::Settings,
};

pub(in crate::cli) async fn delivery(
    args: DeliveryArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    if args.switch == Some(Switch::Off) && args.share.is_some() {
        return Err(CliError::ShareOfNothing);
    }
    let catalog = existing_catalog(settings).await?;
    let mut set = None;
    if let Some(switch) = args.switch {
        let shared = match args.form {
            None => Shared::All,
            Some(DeliveredForm::File) => Shared::File,
            Some(DeliveredForm::Compact) => Shared::Compact,
            Some(DeliveredForm::Stream) => Shared::Stream,
        };
        let share = match switch {
            Switch::Off => Share::NONE,
            Switch::On => args.share.unwrap_or(Share::ALL),
        };
        let asked = json!({"what": shared.name(), "share": share.percent()});
        let setting = catalog.set_share(shared, share);
        on_record(&catalog, deed("delivery.set", "", &asked), setting).await?;
        set = Some(shared);
    }
    let delivery = catalog.delivery().await?;
    catalog.close().await;
    if json {
        print_json(&in_json(&delivery));
        return Ok(0);
    }
    match delivery.is_off() {
        true => {
            if let Some(shared) = set.filter(|shared| *shared != Shared::All) {
                let (share, name) = (delivery.share(shared), shared.name());
                print_lines(&format!(
                    "set, for when snapshots are handed out again: {name}: {share} of the stores"
                ));
            }
            let since = delivery.since(Shared::All);
            let since = since.map_or_else(String::new, |at| {
                format!(" since {}", at.format("%F %T UTC"))
            });
            print_lines(&format!(
                "off{since}: every device syncs as without Seedbed; `seedbed delivery on` hands snapshots out again"
            ));
        }
        false => Shared::EACH.iter().for_each(|&shared| {
            let share = delivery.share(shared);
            print_lines(&format!("{}: {share} of the stores", shared.name()));
        }),
    }
    Ok(0)
}

fn in_json(delivery: &Delivery) -> Value {
    let shares = Shared::EACH.map(|shared| {
        let percent = delivery.share(shared).percent();
        (shared.name().to_owned(), percent.into())
    });
    Value::Object(Map::from_iter(shares))
}
