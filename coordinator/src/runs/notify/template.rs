//! Words a notice as its receiver takes it.

use serde_json::{Value, json};

use crate::{
    catalog::{Notice, NoticeEvent},
    settings::NotifyTemplate,
};

/// PagerDuty takes no longer summary, in characters.
const MAX_SUMMARY: usize = 1_024;

/// Returns the body of the request. The routing key is PagerDuty's.
pub(super) fn body(template: NotifyTemplate, notice: &Notice, routing_key: Option<&str>) -> Value {
    match template {
        NotifyTemplate::Json => json!({
            "version": 1,
            "id": notice.id,
            "event": notice.event,
            "at": notice.at,
            "title": notice.title,
            "text": notice.text,
            "runId": notice.run_id,
        }),
        NotifyTemplate::Slack => {
            let (title, text) = (escaped(&notice.title), escaped(&notice.text));
            json!({"text": format!("*Seedbed: {title}*\n{text}")})
        }
        NotifyTemplate::Pagerduty => {
            let summary: String = notice.title.chars().take(MAX_SUMMARY).collect();
            json!({
                "routing_key": routing_key,
                "event_action": "trigger",
                "dedup_key": notice.id,
                "payload": {
                    "summary": summary,
                    "source": "seedbed",
                    "severity": severity(notice.event),
                    "timestamp": notice.at,
                    "class": notice.event,
                    "custom_details": {"text": notice.text, "runId": notice.run_id},
                },
            })
        }
    }
}

fn severity(event: NoticeEvent) -> &'static str {
    match event {
        NoticeEvent::RunFailed | NoticeEvent::FreshnessMissed => "error",
        NoticeEvent::NewReason => "warning",
        NoticeEvent::ConfigChanged | NoticeEvent::Test => "info",
    }
}

/// Slack reads links and mentions out of these.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
