//! HTTP streams as the guest sees them.

use bytes::BytesMut;

use super::abi::{Action, Body, BufferKind, ContextId, End, MapKind};
use super::context::{Http, Kind, MapAccess};
use super::exports::HeadersCallback;
use super::stream::HttpInfo;
use super::tcp::length;
use super::trap::Trap;
use super::vm::{Vm, action};

impl Vm {
    /// A request came: `on_context_create`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn open_http(&mut self, root: ContextId, info: HttpInfo) -> Result<ContextId, Trap> {
        self.open(root, Kind::Http(Box::new(Http::new(info))))
    }

    /// The request's maps, for the owner to fill and to take back.
    pub fn http_mut(&mut self, context: ContextId) -> Option<&mut HttpInfo> {
        self.instance
            .state_mut()
            .contexts
            .http_mut(context)
            .map(|http| &mut http.info)
    }

    /// `on_request_headers`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_headers(&mut self, context: ContextId, end: End) -> Result<Action, Trap> {
        let callback = self.exports.request_headers.clone();
        self.headers(
            MapKind::RequestHeaders,
            "proxy_on_request_headers",
            callback,
            context,
            end,
        )
    }

    /// Leaves body bytes that the guest held back where it can read and change
    /// them from other callbacks, such as the answer to an HTTP call. In the
    /// body's own callback it sees those handed over there.
    pub fn hold_body(&mut self, context: ContextId, body: Body, bytes: BytesMut) {
        if let Some(http) = self.instance.state_mut().contexts.http_mut(context) {
            http.held[body as usize] = bytes;
        }
    }

    /// Takes back what [`Vm::hold_body`] left, changed or not.
    pub fn release_body(&mut self, context: ContextId, body: Body) -> BytesMut {
        let http = self.instance.state_mut().contexts.http_mut(context);
        http.map_or_else(BytesMut::new, |http| {
            std::mem::take(&mut http.held[body as usize])
        })
    }

    /// `on_response_headers`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_headers(&mut self, context: ContextId, end: End) -> Result<Action, Trap> {
        let callback = self.exports.response_headers.clone();
        self.headers(
            MapKind::ResponseHeaders,
            "proxy_on_response_headers",
            callback,
            context,
            end,
        )
    }

    /// `on_request_body`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_body(
        &mut self,
        context: ContextId,
        body: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        let arguments = (context.0, length(body), u32::from(end == End::Last));
        let callback = &self.exports.request_body;
        let Some(instance) = self.instance.for_http(context)? else {
            return Ok(Action::Continue);
        };
        let answer = instance.with_data(BufferKind::RequestBody, body, |instance| {
            instance.call("proxy_on_request_body", context, callback, arguments)
        })?;
        self.decided(answer)
    }

    /// `on_response_body`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_body(
        &mut self,
        context: ContextId,
        body: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        let arguments = (context.0, length(body), u32::from(end == End::Last));
        let callback = &self.exports.response_body;
        let Some(instance) = self.instance.for_http(context)? else {
            return Ok(Action::Continue);
        };
        let answer = instance.with_data(BufferKind::ResponseBody, body, |instance| {
            instance.call("proxy_on_response_body", context, callback, arguments)
        })?;
        self.decided(answer)
    }

    /// `on_request_trailers`, with the body bytes still held back.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_trailers(
        &mut self,
        context: ContextId,
        held: &mut BytesMut,
    ) -> Result<Action, Trap> {
        let kind = MapKind::RequestTrailers;
        let Some(count) = self.instance.reveal(context, kind)? else {
            return Ok(Action::Continue);
        };
        let callback = &self.exports.request_trailers;
        let answer = self
            .instance
            .with_data(BufferKind::RequestBody, held, |instance| {
                instance.call(
                    "proxy_on_request_trailers",
                    context,
                    callback,
                    (context.0, count),
                )
            })?;
        self.conceal(context, kind, answer)
    }

    /// `on_response_trailers`, with the body bytes still held back.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_trailers(
        &mut self,
        context: ContextId,
        held: &mut BytesMut,
    ) -> Result<Action, Trap> {
        let kind = MapKind::ResponseTrailers;
        let Some(count) = self.instance.reveal(context, kind)? else {
            return Ok(Action::Continue);
        };
        let callback = &self.exports.response_trailers;
        let answer = self
            .instance
            .with_data(BufferKind::ResponseBody, held, |instance| {
                instance.call(
                    "proxy_on_response_trailers",
                    context,
                    callback,
                    (context.0, count),
                )
            })?;
        self.conceal(context, kind, answer)
    }

    fn headers(
        &mut self,
        kind: MapKind,
        name: &'static str,
        callback: Option<HeadersCallback>,
        context: ContextId,
        end: End,
    ) -> Result<Action, Trap> {
        let Some(count) = self.instance.reveal(context, kind)? else {
            return Ok(Action::Continue);
        };
        let last = u32::from(end == End::Last);
        let answer = match callback {
            None => None,
            Some(HeadersCallback::Old(callback)) => {
                self.instance
                    .call(name, context, &Some(callback), (context.0, count))?
            }
            Some(HeadersCallback::New(callback)) => {
                self.instance
                    .call(name, context, &Some(callback), (context.0, count, last))?
            }
        };
        self.conceal(context, kind, answer)
    }

    /// In Envoy a map is there while its callback runs, and stays while the
    /// stream is held because of it.
    fn conceal(
        &mut self,
        context: ContextId,
        kind: MapKind,
        answer: Option<u32>,
    ) -> Result<Action, Trap> {
        let action = self.decided(answer)?;
        if action == Action::Continue {
            self.instance
                .state_mut()
                .set_access(context, kind, MapAccess::None);
        }
        Ok(action)
    }

    /// A request the guest answered itself goes no further.
    fn decided(&mut self, answer: Option<u32>) -> Result<Action, Trap> {
        let stopped = std::mem::take(&mut self.instance.state_mut().scope.stop);
        self.settle()?;
        Ok(if stopped {
            Action::Pause
        } else {
            action(answer)
        })
    }
}
