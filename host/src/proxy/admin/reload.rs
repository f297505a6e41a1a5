//! `PUT /reload`: has the configuration read again.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::proxy::admin::reply::{JSON, Reply, error, reply};
use crate::proxy::reload_request::{NotReloaded, ReloadRequest, ReloadSender, Reloaded};

/// Has the host's owner read its configuration again.
pub(super) async fn reload(reloads: Option<ReloadSender>, client: SocketAddr) -> Reply {
    let Some(reloads) = reloads else {
        let text = "this balancer has no configuration file that could be read again";
        return error(StatusCode::NOT_FOUND, text);
    };
    let (answer, answered) = oneshot::channel();
    if let Err(TrySendError::Full(_)) = reloads.try_send(ReloadRequest { client, answer }) {
        let text = "as many reloads wait as may; try again";
        return error(StatusCode::SERVICE_UNAVAILABLE, text);
    }
    // Unsent or unanswered: nobody reads the configuration any more.
    match answered.await.unwrap_or(Err(NotReloaded::Draining)) {
        Ok(Reloaded { changes, warnings }) => {
            let done = json!({ "changes": changes, "warnings": warnings });
            reply(StatusCode::OK, JSON, format!("{done}\n"))
        }
        Err(NotReloaded::Configuration(errors)) => {
            let what = "the configuration is wrong; the balancer goes on as before";
            let refused = json!({ "error": what, "errors": errors });
            reply(
                StatusCode::UNPROCESSABLE_ENTITY,
                JSON,
                format!("{refused}\n"),
            )
        }
        Err(NotReloaded::Start(problem)) => {
            let text = format!("{problem}; the balancer goes on as before");
            error(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
        Err(NotReloaded::Draining) => {
            let text = "the process is ending; nothing is read any more";
            error(StatusCode::CONFLICT, text)
        }
    }
}
