//! `seedbed notify test`: sends a notice now, once.

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    catalog::{CatalogError, Notice, NoticeEvent},
    cli::{
        connect::existing_catalog,
        exit::CliError,
        on_record::{deed, on_record},
        output::{print_json, print_lines},
    },
    runs::{NotifyError, Webhook},
    settings::Settings,
};

pub(in crate::cli) async fn test(settings: &Settings, json: bool) -> Result<u8, CliError> {
    let webhook = Webhook::new(&settings.notify).ok_or(NotifyError::NoWebhook)?;
    let catalog = match existing_catalog(settings).await {
        Ok(catalog) => Some(catalog),
        // The webhook is tried before anything else is.
        Err(CliError::Catalog(CatalogError::Missing { .. })) => None,
        Err(error) => return Err(error),
    };
    let notice = Notice {
        id: format!("test:{}", Uuid::now_v7()),
        event: NoticeEvent::Test,
        at: Utc::now(),
        title: "Notices arrive".to_owned(),
        text: "`seedbed notify test` has sent this.".to_owned(),
        run_id: None,
    };
    let sending = webhook.send(&notice);
    match &catalog {
        Some(catalog) => {
            on_record(catalog, deed("notify.test", "", &Value::Null), sending).await?;
            catalog.close().await;
        }
        None => sending.await?,
    }
    if json {
        print_json(&json!({"sent": true, "id": notice.id}));
    } else {
        print_lines("sent; look whether it is there");
    }
    Ok(0)
}
