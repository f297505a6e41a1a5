//! HTTP streams as the guest sees them.

use bytes::BytesMut;

use super::abi::{Action, Body, BufferKind, ContextId, End, MapKind};
use super::context::{Http, Kind, MapAccess};
use super::exports::{HeadersCallback, length};
use super::stream_info::HttpInfo;
use super::trap::Trap;
use super::vm::Vm;

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
        self.headers(Body::Request, context, end)
    }

    /// `on_response_headers`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_headers(&mut self, context: ContextId, end: End) -> Result<Action, Trap> {
        self.headers(Body::Response, context, end)
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
        self.body(Body::Request, context, body, end)
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
        self.body(Body::Response, context, body, end)
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
        self.trailers(Body::Request, context, held)
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
        self.trailers(Body::Response, context, held)
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

    fn headers(&mut self, of: Body, context: ContextId, end: End) -> Result<Action, Trap> {
        let (kind, callback) = match of {
            Body::Request => (MapKind::RequestHeaders, &self.exports.request_headers),
            Body::Response => (MapKind::ResponseHeaders, &self.exports.response_headers),
        };
        let Some(count) = self.instance.reveal(context, kind)? else {
            return Ok(Action::Continue);
        };
        let last = u32::from(end == End::Last);
        let instance = &mut self.instance;
        let result = match callback {
            HeadersCallback::WithoutEnd(callback) => {
                instance.call(context, callback, (context.0, count))?
            }
            HeadersCallback::WithEnd(callback) => {
                instance.call(context, callback, (context.0, count, last))?
            }
        };
        self.conceal(context, kind, result)
    }

    fn body(
        &mut self,
        of: Body,
        context: ContextId,
        body: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        let (kind, callback) = match of {
            Body::Request => (BufferKind::RequestBody, &self.exports.request_body),
            Body::Response => (BufferKind::ResponseBody, &self.exports.response_body),
        };
        let arguments = (context.0, length(body), u32::from(end == End::Last));
        let Some(instance) = self.instance.for_http(context)? else {
            return Ok(Action::Continue);
        };
        let result = instance.with_data(kind, body, |instance| {
            instance.call(context, callback, arguments)
        })?;
        self.decided(result)
    }

    fn trailers(
        &mut self,
        of: Body,
        context: ContextId,
        held: &mut BytesMut,
    ) -> Result<Action, Trap> {
        let exports = &self.exports;
        let (map, body, callback) = match of {
            Body::Request => (
                MapKind::RequestTrailers,
                BufferKind::RequestBody,
                &exports.request_trailers,
            ),
            Body::Response => (
                MapKind::ResponseTrailers,
                BufferKind::ResponseBody,
                &exports.response_trailers,
            ),
        };
        let Some(count) = self.instance.reveal(context, map)? else {
            return Ok(Action::Continue);
        };
        let result = self.instance.with_data(body, held, |instance| {
            instance.call(context, callback, (context.0, count))
        })?;
        self.conceal(context, map, result)
    }

    /// In Envoy a map is there while its callback runs, and stays while the
    /// stream is held because of it.
    fn conceal(
        &mut self,
        context: ContextId,
        kind: MapKind,
        result: Option<u32>,
    ) -> Result<Action, Trap> {
        let action = self.decided(result)?;
        if action == Action::Continue {
            self.instance
                .state_mut()
                .set_access(context, kind, MapAccess::None);
        }
        Ok(action)
    }

    /// A request the guest answered itself goes no further.
    fn decided(&mut self, result: Option<u32>) -> Result<Action, Trap> {
        let stopped = std::mem::take(&mut self.instance.state_mut().scope.stop);
        self.settle()?;
        Ok(if stopped {
            Action::Pause
        } else {
            Action::of_result(result)
        })
    }
}
