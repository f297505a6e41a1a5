//! What a request of the admin listener is answered: some by the host itself, the others
//! by the filter.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dtr_lb_filter::admin::access::Purpose;
use dtr_lb_filter::config::Admin;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use crate::control::lifecycle::Phase;
use crate::proxy::admin::access::admit;
use crate::proxy::admin::connections::AdminPlace;
use crate::proxy::admin::counted;
use crate::proxy::admin::desk::AdminRequest;
use crate::proxy::admin::pending_orders::PendingOrders;
use crate::proxy::admin::refused::RefusedChanges;
use crate::proxy::admin::reload::reload;
use crate::proxy::admin::reply::{JSON, Reply, another_takes_over, error, filter_is_down, reply};
use crate::proxy::admin::request;
use crate::proxy::admin::sessions::SessionsRequest;
use crate::proxy::order_file::OrderFile;
use crate::proxy::shared_state::{Current, SharedState};

/// Who asks, and whom.
pub(super) struct Asked {
    pub(super) current: Current,
    pub(super) place: AdminPlace,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) orders: Rc<PendingOrders>,
    pub(super) refused: Rc<RefusedChanges>,
}

/// What the host itself serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Ready,
    /// The filter knows of no drain.
    PingWhileDraining,
    Metrics,
    Host,
    Reload,
    Sessions,
}

impl Own {
    fn at(path: &str, phase: Phase) -> Option<Own> {
        match path {
            "/ready" => Some(Own::Ready),
            "/_ping" if phase.is_drain() => Some(Own::PingWhileDraining),
            "/metrics" => Some(Own::Metrics),
            "/host" => Some(Own::Host),
            "/reload" => Some(Own::Reload),
            "/sessions" => Some(Own::Sessions),
            _ => None,
        }
    }

    /// What it may be asked with.
    fn methods(self) -> (&'static [Method], &'static str) {
        match self {
            Own::Ready | Own::PingWhileDraining | Own::Metrics | Own::Host => {
                (&[Method::GET, Method::HEAD], "GET, HEAD")
            }
            Own::Reload => (&[Method::PUT], "PUT"),
            Own::Sessions => (
                &[Method::GET, Method::HEAD, Method::DELETE],
                "GET, HEAD, DELETE",
            ),
        }
    }

    /// What access it needs; `None`: none.
    fn purpose(self, method: &Method) -> Option<Purpose> {
        match self {
            Own::Ready | Own::PingWhileDraining => None,
            Own::Sessions if *method == Method::DELETE => Some(Purpose::Change),
            Own::Metrics | Own::Host | Own::Sessions => Some(Purpose::Read),
            Own::Reload => Some(Purpose::Change),
        }
    }
}

impl Asked {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let Some(shared) = self.current.borrow().clone() else {
            return another_takes_over();
        };
        let phase = *shared.phases.borrow();
        let Some(own) = Own::at(request.uri().path(), phase) else {
            return self.ask_filter(shared, request).await;
        };
        let (methods, names) = own.methods();
        if !methods.contains(request.method()) {
            let text = format!("the method is not one of {names}");
            let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, &text);
            let allowed = HeaderValue::from_static(names);
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        // Who asks is not idle.
        let answering = self.place.answering();
        let access = shared.admin.as_ref().map(|admin| &admin.access);
        if let Some(purpose) = own.purpose(request.method())
            && let Err(denied) = admit(&request, purpose, access.unwrap_or(&Admin::NOBODY))
        {
            if purpose == Purpose::Change {
                self.refused.log(&request, self.client, denied.status());
            }
            return *denied;
        }
        match own {
            Own::Ready => ready(&shared, phase),
            Own::PingWhileDraining => {
                let ping = "{\"Error\":\"draining\",\"Healthy\":false}".to_owned();
                reply(StatusCode::SERVICE_UNAVAILABLE, JSON, ping)
            }
            Own::Metrics => counted::metrics(&shared),
            Own::Host => counted::host(&shared),
            Own::Reload => {
                let reloads = shared.options.reloads.clone();
                // What is held of a generation keeps it from ending.
                drop(shared);
                let reloaded = reload(reloads, self.client).await;
                drop(answering);
                reloaded
            }
            Own::Sessions => {
                let sessions = match SessionsRequest::parse(&request) {
                    Ok(asked) => asked.answer(shared, self.client).await,
                    Err(refused) => *refused,
                };
                drop(answering);
                sessions
            }
        }
    }

    async fn ask_filter(&self, shared: Arc<SharedState>, request: Request<Incoming>) -> Reply {
        let limit = shared.options.admin_timeout;
        let order_file = shared.order_file.clone();
        // What is held of a generation keeps it from ending.
        drop(shared);
        // Who sends its body slowly gives way to others.
        let request = match request::read(request, limit).await {
            Ok(request) => request,
            Err(reply) => return reply,
        };
        let order = match request.method() == Method::PUT {
            true => match self.orders.begin() {
                Some(order) => Some(order),
                None => return another_takes_over(),
            },
            false => None,
        };
        let request = Box::new(AdminRequest {
            client: self.client,
            local: self.local,
            request,
        });
        let _answering = self.place.answering();
        let asking = ask_current(&self.current, request);
        let reply = timeout(limit, asking).await.unwrap_or_else(|_| {
            error(
                StatusCode::GATEWAY_TIMEOUT,
                "the filter gave no answer in time",
            )
        });
        match order_file.filter(|_| order.is_some() && reply.status().is_success()) {
            Some(order_file) => self.kept(reply, &order_file).await,
            None => reply,
        }
    }

    /// The reply to an order, which must outlive a restart.
    async fn kept(&self, reply: Reply, order_file: &Arc<OrderFile>) -> Reply {
        match order_file.save().await {
            Ok(()) => reply,
            Err(problem) => {
                let path = order_file.path().display();
                let unkept = format!(
                    "holds, but would not outlive a restart: {path} can't be written: {problem}; \
                     give room or permission, then order it again"
                );
                let Ok(done) = reply.into_body().collect().await;
                let done: Value = serde_json::from_slice(&done.to_bytes()).unwrap_or_default();
                let (replica, state) = (done["name"].as_str(), done["state"].as_str());
                let (replica, state) = (replica.unwrap_or("?"), state.unwrap_or("?"));
                warn!(
                    target: "balancer",
                    replica,
                    client = %self.client,
                    "replica \"{replica}\": the order {state} {unkept}"
                );
                error(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &format!("the order {unkept}"),
                )
            }
        }
    }
}

/// Has the current generation answer; one that is retired meanwhile hands the request
/// back, unanswered.
async fn ask_current(current: &Current, mut request: Box<AdminRequest>) -> Reply {
    let mut current = current.clone();
    loop {
        let Some(shared) = current.borrow_and_update().clone() else {
            return another_takes_over();
        };
        match shared.admin_desk.ask(request).await {
            Ok(reply) => return reply,
            Err(_) if *shared.phases.borrow() != Phase::Retiring => return filter_is_down(),
            Err(unanswered) => request = unanswered,
        }
        // It is replaced before it is retired.
        if !current.has_changed().unwrap_or(false) {
            return filter_is_down();
        }
    }
}

fn ready(shared: &SharedState, phase: Phase) -> Reply {
    let running: u64 = shared
        .counters
        .iter()
        .map(|counters| counters.vm_running.load(Relaxed))
        .sum();
    match phase {
        Phase::Starting => error(StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Running | Phase::Retiring if running > 0 || shared.vms.is_empty() => {
            reply(StatusCode::OK, JSON, "{\"ready\":true}\n".to_owned())
        }
        Phase::Running | Phase::Retiring => {
            error(StatusCode::SERVICE_UNAVAILABLE, "no filter runs")
        }
        Phase::Announcing | Phase::Draining | Phase::Cutting | Phase::Over => {
            error(StatusCode::SERVICE_UNAVAILABLE, "draining")
        }
    }
}
