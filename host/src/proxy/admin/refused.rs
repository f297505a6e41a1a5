//! Changes that the host refuses, in the log.

use std::cell::RefCell;
use std::net::SocketAddr;

use dtr_lb_filter::admin::http::refusal_name;
use dtr_lb_filter::log_limit::LogLimit;
use dtr_lb_filter::time::Moment;
use http::{Request, StatusCode};
use tokio::time::Instant;
use tracing::warn;

/// Logs who was refused a change, as the filter does of what it is asked, and as seldom.
pub(super) struct RefusedChanges {
    since: Instant,
    limit: RefCell<LogLimit>,
}

impl RefusedChanges {
    pub(super) fn new() -> RefusedChanges {
        RefusedChanges {
            since: Instant::now(),
            limit: RefCell::default(),
        }
    }

    pub(super) fn log<B>(&self, request: &Request<B>, client: SocketAddr, status: StatusCode) {
        let now = Moment::at(self.since.elapsed());
        let Some(left_out) = self.limit.borrow_mut().admit(now) else {
            return;
        };
        let (method, path) = (request.method(), request.uri().path());
        let (status, reason) = (status.as_u16(), refusal_name(status.as_u16()));
        let more = match left_out {
            0 => String::new(),
            _ => format!("; {left_out} more before it are not logged"),
        };
        warn!(
            target: "balancer",
            reason,
            %client,
            "{method} {path} is refused: {status}, {reason}{more}"
        );
    }
}
