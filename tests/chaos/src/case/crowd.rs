//! Clients that are not like others.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use dtr_lb_tests::FQDN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections that say nothing; fewer when no more are taken.
pub(super) async fn connect(target: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        // One that hangs has found a full queue, which is what it came for.
        if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(target)).await {
            open.push(stream);
        }
    }
    open
}

/// This many clients that ask for the status again and again.
pub(super) fn flood(admin: SocketAddr, count: usize, asking: &mut JoinSet<()>) {
    let request = format!("GET /status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    for _ in 0..count {
        let request = request.clone();
        asking.spawn(async move {
            loop {
                let ask = async {
                    let mut stream = TcpStream::connect(admin).await?;
                    stream.write_all(request.as_bytes()).await?;
                    stream.read_to_end(&mut Vec::new()).await
                };
                if ask.await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
}

/// Clients that have asked for what is never answered, and ended their side.
///
/// # Errors
/// When one can't connect.
pub(super) async fn half_closed(
    target: SocketAddr,
    from: Ipv4Addr,
    count: usize,
) -> Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let mut stream = socket
            .connect(target)
            .await
            .context("a client that will vanish")?;
        let request = format!("GET /never HTTP/1.1\r\nHost: {FQDN}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.shutdown().await?;
        open.push(stream);
    }
    Ok(open)
}

const PATIENCE: Duration = Duration::from_millis(50);
