//! As much of WebDriver (W3C) as is used here: JSON over HTTP.
//!
//! Our own, since what there is changes what is tested, or brings much of it twice:
//! thirtyfour has serde_json keep the order of every object, in the host as well.

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A browser's session. It ends with its driver.
pub(crate) struct Session {
    port: u16,
    path: String,
}

impl Session {
    /// Has the driver at this port start a browser.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn start(port: u16, capabilities: Value) -> Result<Session, String> {
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let started = exchange(port, "POST", "/session", &wanted).await?;
        let id = started["sessionId"].as_str();
        let id = id.ok_or_else(|| format!("no session in {started}"))?;
        Ok(Session {
            port,
            path: format!("/session/{id}"),
        })
    }

    /// What a command returns that asks for something.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn get(&self, command: &str) -> Result<Value, String> {
        let path = format!("{}/{command}", self.path);
        exchange(self.port, "GET", &path, &Value::Null).await
    }

    /// What a command returns that does something.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn post(&self, command: &str, arguments: Value) -> Result<Value, String> {
        let path = format!("{}/{command}", self.path);
        exchange(self.port, "POST", &path, &arguments).await
    }
}

/// Sends one command, on a connection of its own; the value it returns.
async fn exchange(port: u16, method: &str, path: &str, arguments: &Value) -> Result<Value, String> {
    let body = match arguments {
        Value::Null => Bytes::new(),
        arguments => arguments.to_string().into(),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("127.0.0.1:{port}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body));
    let request = request.map_err(|error| error.to_string())?;
    let answer = send(port, request).await;
    let answer = answer.map_err(|error| format!("{method} {path}: {error}"))?;
    let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    match answer["value"].take() {
        failed if failed["error"].is_string() => Err(format!("{method} {path}: {failed}")),
        value => Ok(value),
    }
}

async fn send(port: u16, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let shaking = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = shaking.await?;
    // Ends with this function.
    let mut serving = JoinSet::new();
    serving.spawn(connection);
    let answer = sender.send_request(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}
