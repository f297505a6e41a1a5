//! The health port of a stand-in.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::http::{Request, answer};
use crate::ping::Ping;

/// The health port's state.
#[derive(Default)]
pub(crate) struct Probed {
    pub(crate) ping: Option<Ping>,
    pub(crate) once: Option<Ping>,
    pub(crate) probes: Vec<Request>,
}

pub(crate) async fn answer_probes(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    sni: Option<String>,
    state: &Mutex<Probed>,
) {
    while let Ok(Some(request)) = Request::read(&mut stream).await {
        let ping = {
            let mut state = state.lock().unwrap();
            let path = request.path.clone();
            state.probes.push(Request {
                sni: sni.clone(),
                ..request
            });
            let ping = state.once.take().or_else(|| state.ping.clone());
            ping.map(|ping| ping.at(&path))
        };
        match ping {
            Some(Ping::Says(status, body)) => {
                let headers = [("content-type", "application/json")];
                let bytes = answer(status, &headers, body.as_bytes());
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Ping::Reveals(ahead, server)) => {
                let date = SystemTime::now() + Duration::from_secs(ahead);
                let date = httpdate::fmt_http_date(date);
                let bytes = answer(200, &[("date", &date), ("server", server)], b"{}");
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Ping::Sends(bytes)) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Ping::Drips) => {
                let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
                while stream.write_all(&bytes).await.is_ok() {
                    bytes = b" ".to_vec();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Some(Ping::Hangs) => std::future::pending().await,
            Some(Ping::Closes | Ping::ByPath(_)) | None => return,
        }
    }
}
