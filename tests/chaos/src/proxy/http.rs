//! Asking a balancer's own pages.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The body of a page.
///
/// # Errors
/// When there is no 200 in time.
pub(super) async fn get(admin: SocketAddr, path: &str) -> Result<String> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    ask(admin, &head).await
}

/// `PUT /replicas/NAME`.
///
/// # Errors
/// When it is not taken.
pub(super) async fn order(admin: SocketAddr, replica: &str, state: &str) -> Result<()> {
    let body = serde_json::json!({ "state": state }).to_string();
    let request = format!(
        "PUT /replicas/{replica} HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(admin, &request).await.map(|_| ())
}

async fn ask(admin: SocketAddr, request: &str) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = timeout(PATIENCE, exchange)
        .await
        .context("its pages are not answered")??;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("{}", answer.lines().next().unwrap_or("an empty answer"));
    }
    Ok(answer)
}

const PATIENCE: Duration = Duration::from_secs(5);
