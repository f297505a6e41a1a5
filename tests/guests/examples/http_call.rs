//! HTTP calls: asks cluster `auth` about each request; 200 lets it through with
//! a header, all else is answered with 403.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Auth));
}}

struct Auth;

impl Context for Auth {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, trailers: usize) {
        log::info!("answer: {headers} headers, {body} bytes, {trailers} trailers");
        let status = self.get_http_call_response_header(":status");
        if status.as_deref() == Some("200") {
            let user = self
                .get_http_call_response_body(0, body)
                .unwrap_or_default();
            let user = String::from_utf8_lossy(&user).into_owned();
            self.set_http_request_header("x-user", Some(&user));
            self.resume_http_request();
            return;
        }
        let real = self
            .get_http_call_response_header("x-envoy-upstream-service-time")
            .is_some();
        let why = if real { "denied" } else { "no answer" };
        self.send_http_response(403, vec![], Some(why.as_bytes()));
    }
}

impl HttpContext for Auth {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let token = self
            .get_http_request_header("authorization")
            .unwrap_or_default();
        let headers = vec![
            (":method", "POST"),
            (":path", "/check"),
            (":authority", "auth.internal"),
            ("authorization", &*token),
        ];
        let trailers = vec![("x-sum", "1")];
        let limit = Duration::from_millis(300);
        match self.dispatch_http_call("auth", headers, Some(b"who?"), trailers, limit) {
            Ok(_) => Action::Pause,
            Err(status) => {
                let why = format!("{status:?}");
                self.send_http_response(500, vec![], Some(why.as_bytes()));
                Action::Pause
            }
        }
    }
}
