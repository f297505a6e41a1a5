//! A request on the admin listener that a filter answers.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::filters::vm_owner::{ContextHandle, VmOwner};
use crate::proxy::admin::desk::AdminRequest;
use crate::proxy::admin::reply::{Reply, error, filter_is_down, from_filter, not_found};
use crate::proxy::context::WorkerContext;
use proxy_wasm_engine::{Action, ContextId, End, Headers, HttpInfo, TcpInfo, Trap, Vm};

/// Reads a request to its end; `None`: it has no body.
///
/// # Errors
/// The reply to a body that is broken, too long, or not there in time.
pub(super) async fn read(
    request: Request<Incoming>,
    limit: Duration,
) -> Result<Request<Option<Bytes>>, Reply> {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(head, None));
    }
    match timeout(limit, read_body(body)).await {
        Ok(body) => Ok(Request::from_parts(head, Some(body?))),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            let message = format!("the body did not arrive within {limit}");
            let mut reply = error(StatusCode::REQUEST_TIMEOUT, &message);
            let close = HeaderValue::from_static("close");
            reply.headers_mut().insert(CONNECTION, close);
            Err(reply)
        }
    }
}

/// Hands a request to the filter's HTTP context.
pub(super) async fn ask(worker: &WorkerContext, request: Box<AdminRequest>) -> Reply {
    let AdminRequest {
        client,
        local,
        request,
    } = *request;
    let (head, body) = request.into_parts();
    let has_body = body.is_some();
    let body = body.unwrap_or_default();
    let path = head.uri.path();
    let Some(owner) = worker.chain.admin() else {
        return not_found(path);
    };
    let connection = TcpInfo::new(worker.next_connection(), client, local);
    let mut info = HttpInfo::new(connection, headers(&head));
    info.time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    info.request_size = body.len() as u64;
    let Some((handle, mut response)) = owner.open_http(info) else {
        return filter_is_down();
    };
    let context = RequestContext { owner, handle };
    let end = if has_body { End::More } else { End::Last };
    let Some(mut action) = context.call(|vm, context| vm.request_headers(context, end)) else {
        return filter_is_down();
    };
    if has_body && response.is_empty() {
        let mut body = BytesMut::from(&body[..]);
        match context.call(|vm, context| vm.request_body(context, &mut body, End::Last)) {
            Some(after_body) => action = after_body,
            None => return filter_is_down(),
        }
    }
    if action == Action::Continue && response.is_empty() {
        return not_found(path);
    }
    match (&mut response).await {
        Ok(response) => from_filter(response),
        Err(_) if context.call(|_, _| Ok(())).is_none() => filter_is_down(),
        Err(_) => not_found(path),
    }
}

async fn read_body(body: Incoming) -> Result<Bytes, Reply> {
    match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(self::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body may have 65536 bytes",
        )),
        Err(error) => Err(self::error(
            StatusCode::BAD_REQUEST,
            &format!("the body is broken: {error}"),
        )),
    }
}

/// The filter's context of a request, which ends with it, answered or not.
struct RequestContext<'a> {
    owner: &'a Rc<VmOwner>,
    handle: ContextHandle,
}

impl RequestContext<'_> {
    fn call<R>(&self, call: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>) -> Option<R> {
        self.owner.visit(self.handle, call)
    }
}

impl Drop for RequestContext<'_> {
    fn drop(&mut self) {
        self.owner.forget_response(self.handle);
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

/// No request of the filter's API needs more.
const MOST_BODY: usize = 64 * 1024;
