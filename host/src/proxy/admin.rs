//! The admin listener: `/ready` and `/metrics` are the host's own, everything
//! else is answered by the filter.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::control::lifecycle::{Phase, reached};
use crate::filters::vm_owner::{Answer, Guest, Seat};
use crate::metrics;
use crate::proxy::worker::Worker;
use proxy_wasm_engine::{Action, End, Headers, HttpInfo, TcpInfo, Trap, Vm};

/// Serves the admin listener for as long as the worker lives, or until others do.
pub(crate) async fn serve(worker: Rc<Worker>, listener: TcpListener) {
    let local = listener.local_addr().ok();
    let phases = worker.site.phases.clone();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = retiring(&phases) => return,
            accepted = listener.accept() => accepted,
        };
        let was_failing = std::mem::replace(&mut failing, accepted.is_err());
        let (socket, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !was_failing {
                    warn!(%error, "the admin listener can't accept");
                }
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let worker = Rc::clone(&worker);
        spawn_local(async move {
            let service = service_fn(|request| {
                let worker = Rc::clone(&worker);
                async move {
                    let ends = (client, local.unwrap_or(client));
                    Ok::<_, Infallible>(answer(&worker, ends, request).await)
                }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(worker.site.options.admin_timeout)
                .serve_connection(TokioIo::new(socket), service);
            if let Err(error) = serving.await {
                debug!(%error, %client, "an admin connection failed");
            }
        });
    }
}

/// Waits until other workers take the place of this one.
async fn retiring(phases: &watch::Receiver<Phase>) {
    reached(phases, Phase::Retiring).await;
    if *phases.borrow() != Phase::Retiring {
        // A drain: nobody else answers.
        std::future::pending().await
    }
}

type Reply = Response<Full<Bytes>>;

async fn answer(
    worker: &Rc<Worker>,
    (client, local): (SocketAddr, SocketAddr),
    request: Request<Incoming>,
) -> Reply {
    let own = matches!(request.uri().path(), "/ready" | "/metrics");
    if own && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, "read only: use GET");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/ready" => ready(worker),
        "/metrics" => {
            let text = metrics::render(&worker.site.counters, &worker.site.shared);
            reply(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            )
        }
        _ => match timeout(
            worker.site.options.admin_timeout,
            ask(worker, client, local, request),
        )
        .await
        {
            Ok(reply) => reply,
            Err(_) => error(
                StatusCode::GATEWAY_TIMEOUT,
                "the filter gave no answer in time",
            ),
        },
    }
}

fn ready(worker: &Worker) -> Reply {
    let site = &worker.site;
    // The last ones are the current ones; others are retired.
    let current = site.counters.iter().rev().take(site.options.workers.get());
    let running: u64 = current
        .map(|counters| counters.vm_running.load(Relaxed))
        .sum();
    let phase = *site.phases.borrow();
    match phase {
        Phase::Starting => error(StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Running | Phase::Retiring if running > 0 || site.programs.is_empty() => {
            reply(StatusCode::OK, JSON, "{\"ready\":true}\n".to_owned())
        }
        Phase::Running | Phase::Retiring => {
            error(StatusCode::SERVICE_UNAVAILABLE, "no filter runs")
        }
        Phase::Draining | Phase::Cutting | Phase::Over => {
            error(StatusCode::SERVICE_UNAVAILABLE, "draining")
        }
    }
}

/// Hands a request to the filter's HTTP context.
async fn ask(
    worker: &Rc<Worker>,
    client: SocketAddr,
    local: SocketAddr,
    request: Request<Incoming>,
) -> Reply {
    let (head, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return self::error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body may have 65536 bytes",
            );
        }
        Err(error) => {
            return self::error(
                StatusCode::BAD_REQUEST,
                &format!("the body is broken: {error}"),
            );
        }
    };
    let down = || {
        error(
            StatusCode::SERVICE_UNAVAILABLE,
            "the filter is down; it is being restarted",
        )
    };
    let connection = TcpInfo::new(worker.next_connection(), client, local);
    let mut info = HttpInfo::new(connection, headers(&head));
    info.time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    info.request_size = body.len() as u64;
    let Some(guest) = worker.chain.admin() else {
        return not_found(&head);
    };
    let Some((seat, mut answer)) = guest.open_http(info) else {
        return down();
    };
    let visit = Visit { guest, seat };
    let end = if has_body { End::More } else { End::Last };
    let Some(mut action) = visit.call(|vm, context| vm.request_headers(context, end)) else {
        return down();
    };
    if has_body && answer.is_empty() {
        let mut body = BytesMut::from(&body[..]);
        let told = visit.call(|vm, context| vm.request_body(context, &mut body, End::Last));
        match told {
            Some(after) => action = after,
            None => return down(),
        }
    }
    if action == Action::Continue && answer.is_empty() {
        return not_found(&head);
    }
    match (&mut answer).await {
        Ok(answer) => from_filter(answer),
        Err(_) if visit.call(|_, _| Ok(())).is_none() => down(),
        Err(_) => not_found(&head),
    }
}

/// A request the guest knows of; it is told of the end however that comes.
struct Visit<'a> {
    guest: &'a Rc<Guest>,
    seat: Seat,
}

impl Visit<'_> {
    fn call<R>(
        &self,
        call: impl FnOnce(&mut Vm, proxy_wasm_engine::ContextId) -> Result<R, Trap>,
    ) -> Option<R> {
        self.guest.visit(self.seat, call)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.guest.forget_answer(self.seat);
        self.call(Vm::finish);
    }
}

fn headers(head: &http::request::Parts) -> Headers {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = head
        .headers
        .get(http::header::HOST)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let mut headers: Headers = vec![
        (":method".to_owned(), head.method.as_str().into()),
        (":path".to_owned(), path.into()),
        (":authority".to_owned(), host.into()),
        (":scheme".to_owned(), b"http".to_vec()),
    ];
    for (name, value) in &head.headers {
        if name != http::header::HOST {
            headers.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
        }
    }
    headers
}

fn from_filter(answer: Answer) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(answer.body)));
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    *reply.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if name == http::header::CONTENT_LENGTH.as_str() {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
            reply.headers_mut().append(name, value);
        }
    }
    reply
}

fn not_found(head: &http::request::Parts) -> Reply {
    error(
        StatusCode::NOT_FOUND,
        &format!("nothing at {}", head.uri.path()),
    )
}

fn error(status: StatusCode, words: &str) -> Reply {
    let text = format!("{}\n", serde_json::json!({ "error": words }));
    reply(status, JSON, text)
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

const JSON: &str = "application/json";
/// No request of the filter's API needs more.
const MOST_BODY: usize = 64 * 1024;
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
