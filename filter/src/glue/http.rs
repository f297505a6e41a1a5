//! Requests of the admin listener.

use super::effects::carry_out;
use super::host;
use super::vm::Vm;
use crate::admin::api;
use crate::admin::http::{BODY_LIMIT, Request};
use proxy_wasm::types::{Action, BufferType, MapType};

/// Whether more of a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    More,
    Last,
}

impl End {
    pub(super) fn of(is_last: bool) -> End {
        if is_last { End::Last } else { End::More }
    }
}

/// A request's headers came in.
pub(super) fn headers(vm: &mut Vm, context: u32, end: End) -> Action {
    let header = |name: &str| host::header(MapType::HttpRequestHeaders, name);
    let headers = HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), header(name)?)));
    let client = host::property(host::CLIENT).unwrap_or_default();
    let request = Request {
        method: header(":method").unwrap_or_default(),
        path: header(":path").unwrap_or_default(),
        headers: headers.collect(),
        client: String::from_utf8(client).unwrap_or_default(),
        body: Vec::new(),
    };
    if end == End::Last || !request.has_body() {
        return respond(vm, &request);
    }
    vm.requests.insert(context, request);
    Action::Pause
}

/// More of a request's body came in; the host keeps it all until it is complete.
pub(super) fn body(vm: &mut Vm, context: u32, size: usize, end: End) -> Action {
    let is_complete = end == End::Last || size > BODY_LIMIT;
    if !is_complete {
        return Action::Pause;
    }
    let Some(mut request) = vm.requests.remove(&context) else {
        return Action::Pause;
    };
    // One byte more than allowed is enough to tell that it is too much.
    request.body = host::buffer(BufferType::HttpRequestBody, BODY_LIMIT.saturating_add(1));
    respond(vm, &request)
}

/// A request is over, answered or not.
pub(super) fn closed(vm: &mut Vm, context: u32) {
    vm.requests.remove(&context);
}

fn respond(vm: &mut Vm, request: &Request) -> Action {
    let now = vm.read_clock();
    if vm.registries.is_empty() {
        let _ = host::respond(503, &[], b"{\"error\":\"the filter has no configuration\"}");
    } else {
        let mut balancers = vm.registries.balancers_mut();
        let response = api::answer(&mut balancers, request, &mut vm.shared, now);
        let _ = host::respond(response.status, &response.headers, &response.body);
    }
    carry_out(vm, now);
    Action::Pause
}

/// The headers that matter.
const HEADERS: [&str; 6] = [
    ":authority",
    "authorization",
    "content-type",
    "origin",
    "sec-fetch-site",
    "host",
];
