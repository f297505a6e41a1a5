//! TCP connections as the guest sees them.

use bytes::BytesMut;

use super::abi::{Action, BufferKind, ContextId, Direction, End, Peer};
use super::context::{Kind, Tcp};
use super::exports::length;
use super::stream_info::TcpInfo;
use super::trap::Trap;
use super::vm::Vm;

impl Vm {
    /// A TCP connection came: `on_context_create`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn open_tcp(&mut self, root: ContextId, info: TcpInfo) -> Result<ContextId, Trap> {
        let skip_data = false;
        self.open(root, Kind::Tcp(Box::new(Tcp { info, skip_data })))
    }

    /// `on_new_connection`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn new_connection(&mut self, context: ContextId) -> Result<Action, Trap> {
        if !self.is_tcp(context) {
            return self.instance.alive().map(|()| Action::Continue);
        }
        let callback = &self.exports.new_connection;
        let result = self.instance.call(context, callback, (context.0,))?;
        self.settle()?;
        Ok(Action::of_result(result))
    }

    /// Whether the guest has a callback for bytes of this direction and still
    /// wants those of this connection.
    pub fn wants_data(&self, context: ContextId, direction: Direction) -> bool {
        let callback = match direction {
            Direction::Downstream => &self.exports.downstream_data,
            Direction::Upstream => &self.exports.upstream_data,
        };
        let context = self.instance.state().contexts.get(context);
        let tcp = context.map(|context| &context.kind);
        callback.function.is_some() && matches!(tcp, Some(Kind::Tcp(tcp)) if !tcp.skip_data)
    }

    /// `on_downstream_data`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn downstream_data(
        &mut self,
        context: ContextId,
        data: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        self.data(Direction::Downstream, context, data, end)
    }

    /// `on_upstream_data`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn upstream_data(
        &mut self,
        context: ContextId,
        data: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        self.data(Direction::Upstream, context, data, end)
    }

    /// `on_downstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn downstream_close(&mut self, context: ContextId, peer: Peer) -> Result<(), Trap> {
        self.close(Direction::Downstream, context, peer)
    }

    /// `on_upstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn upstream_close(&mut self, context: ContextId, peer: Peer) -> Result<(), Trap> {
        self.close(Direction::Upstream, context, peer)
    }

    /// What properties say of this TCP connection.
    pub fn tcp_mut(&mut self, context: ContextId) -> Option<&mut TcpInfo> {
        let tcp = self.instance.state_mut().contexts.tcp_mut(context);
        tcp.map(|tcp| &mut tcp.info)
    }

    fn data(
        &mut self,
        direction: Direction,
        context: ContextId,
        data: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        if !self.is_tcp(context) {
            return self.instance.alive().map(|()| Action::Continue);
        }
        let (callback, kind) = match direction {
            Direction::Downstream => (&self.exports.downstream_data, BufferKind::DownstreamData),
            Direction::Upstream => (&self.exports.upstream_data, BufferKind::UpstreamData),
        };
        let arguments = (context.0, length(data), u32::from(end == End::Last));
        let result = self.instance.with_data(kind, data, |instance| {
            instance.call(context, callback, arguments)
        })?;
        self.settle()?;
        Ok(Action::of_result(result))
    }

    fn close(&mut self, direction: Direction, context: ContextId, peer: Peer) -> Result<(), Trap> {
        if !self.is_tcp(context) {
            return self.instance.alive();
        }
        let callback = match direction {
            Direction::Downstream => &self.exports.downstream_close,
            Direction::Upstream => &self.exports.upstream_close,
        };
        let arguments = (context.0, peer as u32);
        self.instance.call(context, callback, arguments)?;
        self.settle()
    }

    fn is_tcp(&self, context: ContextId) -> bool {
        let context = self.instance.state().contexts.get(context);
        matches!(context.map(|context| &context.kind), Some(Kind::Tcp(_)))
    }
}
