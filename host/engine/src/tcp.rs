//! TCP connections as the guest sees them.

use bytes::BytesMut;

use super::abi::{Action, BufferKind, ContextId, Direction, End, Peer};
use super::context::{Kind, Parent, Tcp};
use super::machine::{Vm, action};
use super::stream::TcpInfo;
use super::trap::Trap;

impl Vm {
    /// A TCP connection came: `on_context_create`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn open_tcp(&mut self, root: ContextId, info: TcpInfo) -> Result<ContextId, Trap> {
        self.open(
            root,
            Kind::Tcp(Box::new(Tcp {
                info,
                skip_data: false,
            })),
        )
    }

    /// A stream of a root that is gone hangs nowhere: it gets an id no context
    /// has, and so no callbacks.
    pub(super) fn open(&mut self, root: ContextId, kind: Kind) -> Result<ContextId, Trap> {
        self.core.alive()?;
        let state = self.core.state_mut();
        let Some(plugin) = state.contexts.get(root).map(|context| context.plugin) else {
            return Ok(ContextId(0));
        };
        let id = state.contexts.add(Parent::Root { root, plugin }, kind);
        let create = &self.guest.context_create;
        self.core
            .call("proxy_on_context_create", id, create, (id.0, root.0))?;
        Ok(id)
    }

    /// `on_new_connection`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn new_connection(&mut self, context: ContextId) -> Result<Action, Trap> {
        if !self.is_tcp(context) {
            return self.core.alive().map(|()| Action::Continue);
        }
        let callback = &self.guest.new_connection;
        let answer = self
            .core
            .call("proxy_on_new_connection", context, callback, (context.0,))?;
        self.settle()?;
        Ok(action(answer))
    }

    /// Whether the guest has a callback for bytes of this direction and has
    /// not said that it needs no more of this connection.
    pub fn wants_data(&self, context: ContextId, direction: Direction) -> bool {
        let has = match direction {
            Direction::Downstream => self.guest.downstream_data.is_some(),
            Direction::Upstream => self.guest.upstream_data.is_some(),
        };
        let tcp = self
            .core
            .state()
            .contexts
            .get(context)
            .map(|context| &context.kind);
        has && matches!(tcp, Some(Kind::Tcp(tcp)) if !tcp.skip_data)
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

    fn data(
        &mut self,
        direction: Direction,
        context: ContextId,
        data: &mut BytesMut,
        end: End,
    ) -> Result<Action, Trap> {
        if !self.is_tcp(context) {
            return self.core.alive().map(|()| Action::Continue);
        }
        let (name, callback, kind) = match direction {
            Direction::Downstream => (
                "proxy_on_downstream_data",
                &self.guest.downstream_data,
                BufferKind::DownstreamData,
            ),
            Direction::Upstream => (
                "proxy_on_upstream_data",
                &self.guest.upstream_data,
                BufferKind::UpstreamData,
            ),
        };
        let arguments = (context.0, length(data), u32::from(end == End::Last));
        let answer = self.core.with_data(kind, data, |core| {
            core.call(name, context, callback, arguments)
        })?;
        self.settle()?;
        Ok(action(answer))
    }

    /// `on_downstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn downstream_close(&mut self, context: ContextId, peer: Peer) -> Result<(), Trap> {
        if !self.is_tcp(context) {
            return self.core.alive();
        }
        let (name, callback) = (
            "proxy_on_downstream_connection_close",
            &self.guest.downstream_close,
        );
        self.core
            .call(name, context, callback, (context.0, peer as u32))?;
        self.settle()
    }

    /// `on_upstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn upstream_close(&mut self, context: ContextId, peer: Peer) -> Result<(), Trap> {
        if !self.is_tcp(context) {
            return self.core.alive();
        }
        let (name, callback) = (
            "proxy_on_upstream_connection_close",
            &self.guest.upstream_close,
        );
        self.core
            .call(name, context, callback, (context.0, peer as u32))?;
        self.settle()
    }

    /// What properties say of this TCP connection.
    pub fn tcp_mut(&mut self, context: ContextId) -> Option<&mut TcpInfo> {
        self.core
            .state_mut()
            .contexts
            .tcp_mut(context)
            .map(|tcp| &mut tcp.info)
    }

    /// What the guest set with `set_envoy_filter_state`, such as `envoy.tcp_proxy.cluster`.
    pub fn filter_state(&self, context: ContextId, key: &str) -> Option<&str> {
        self.core.state().contexts.get(context)?.state.object(key)
    }

    /// Everything the guest set with `set_envoy_filter_state`, by key.
    pub fn filter_states(&self, context: ContextId) -> impl Iterator<Item = (&'static str, &str)> {
        super::filter_state::object_keys()
            .filter_map(move |key| Some((key, self.filter_state(context, key)?)))
    }

    /// What the guest would read at this property path (segments with a zero
    /// byte between) in this context.
    pub fn property(&mut self, context: ContextId, path: &[u8]) -> Option<Vec<u8>> {
        let state = self.core.state_mut();
        state.turn.context = context;
        state.turn.effective = None;
        let mut value = Vec::new();
        super::property::read(state, path, &mut value)
            .ok()
            .map(|()| value)
    }

    /// The stream is over: `on_done`, `on_log`, `on_delete` in Envoy's order
    /// (for HTTP `on_log` comes first). The context is gone afterwards.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn finish(&mut self, context: ContextId) -> Result<(), Trap> {
        self.core.alive()?;
        match self
            .core
            .state()
            .contexts
            .get(context)
            .map(|context| &context.kind)
        {
            None | Some(Kind::Root(_)) => return Ok(()),
            Some(Kind::Tcp(_)) => {
                self.core
                    .call("proxy_on_done", context, &self.guest.done, (context.0,))?;
                self.log(context)?;
            }
            Some(Kind::Http(_)) if self.core.state().logs_last() => {
                self.core
                    .call("proxy_on_done", context, &self.guest.done, (context.0,))?;
                self.log(context)?;
            }
            Some(Kind::Http(_)) => {
                self.log(context)?;
                self.core
                    .call("proxy_on_done", context, &self.guest.done, (context.0,))?;
            }
        }
        self.core
            .call("proxy_on_delete", context, &self.guest.delete, (context.0,))?;
        self.core.state_mut().contexts.remove(context);
        self.settle()
    }

    fn log(&mut self, context: ContextId) -> Result<(), Trap> {
        self.core.state_mut().begin_log(context);
        self.core
            .call("proxy_on_log", context, &self.guest.log, (context.0,))?;
        self.core.state_mut().end_log(context);
        Ok(())
    }

    fn is_tcp(&self, context: ContextId) -> bool {
        let kind = self
            .core
            .state()
            .contexts
            .get(context)
            .map(|context| &context.kind);
        matches!(kind, Some(Kind::Tcp(_)))
    }
}

/// As a callback is told it; no buffer here comes near 4 GiB.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
