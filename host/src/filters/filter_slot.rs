//! One filter's part in one connection.

use std::cell::Cell;

use bytes::BytesMut;

use crate::filters::chain::ChainFilter;
use crate::filters::connection_info::ConnectionInfo;
use crate::filters::vm_owner::ContextHandle;
use crate::plan::Failure;
use dtr_lb_filter::contract::SERVICE_PROPERTY;
use proxy_wasm_engine::{Action, ContextId, Direction, End, Peer, Trap, Vm};

/// One filter's part in one connection.
#[derive(Default)]
pub(super) struct FilterSlot {
    stage: Cell<Stage>,
    handle: Cell<Option<ContextHandle>>,
    upstream_closed: Cell<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It does not know of the connection yet.
    #[default]
    Ahead,
    /// It has held the connection since it opened.
    Holding,
    /// It has let it pass.
    Passed,
}

impl FilterSlot {
    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// The filter lets the connection pass.
    pub(super) fn pass(&self) {
        self.stage.set(Stage::Passed);
    }

    /// Whether the filter has a context for the connection.
    pub(super) fn has_context(&self) -> bool {
        self.handle.get().is_some()
    }

    /// `on_new_connection`. `None`: the filter is down, and must not be passed by.
    pub(super) fn open(
        &self,
        filter: &ChainFilter,
        connection: &impl ConnectionInfo,
    ) -> Option<Action> {
        let announce = |vm: &mut Vm, context| {
            if let Some(service) = connection.service() {
                vm.set_property(context, SERVICE_PROPERTY.as_bytes(), service.as_bytes());
            }
            vm.new_connection(context)
        };
        let prepared = self.handle.get().filter(|it| filter.owner.has(*it));
        let action = match prepared {
            Some(_) => self.visit(filter, |vm, context| {
                if let Some(info) = vm.tcp_mut(context) {
                    *info = connection.info();
                }
                announce(vm, context)
            }),
            None => {
                let opened = self.open_context(filter, connection, announce);
                self.handle.set(opened.map(|(handle, _)| handle));
                opened.map(|(_, action)| action)
            }
        };
        let Some(action) = action else {
            self.pass();
            let closed = filter.owner.failure() == Failure::Closed;
            return (!closed).then_some(Action::Continue);
        };
        self.stage.set(match action {
            Action::Continue => Stage::Passed,
            Action::Pause => Stage::Holding,
        });
        Some(action)
    }

    /// Gives the connection a context in a VM that is younger, and has no say in it
    /// any more: no `on_new_connection`.
    pub(super) fn reopen(&self, filter: &ChainFilter, connection: &impl ConnectionInfo) {
        let handle = self.handle.get();
        if self.stage.get() == Stage::Ahead || handle.is_some_and(|handle| filter.owner.has(handle))
        {
            return;
        }
        self.prepare(filter, connection);
    }

    /// Gives the connection a context before it is announced: a VM that is to end waits
    /// for it.
    pub(super) fn prepare(&self, filter: &ChainFilter, connection: &impl ConnectionInfo) {
        let opened = self.open_context(filter, connection, |_, _| Ok(()));
        self.handle.set(opened.map(|(handle, ())| handle));
    }

    /// A context for the connection, and what is done with it at once.
    fn open_context<R>(
        &self,
        filter: &ChainFilter,
        connection: &impl ConnectionInfo,
        then: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>,
    ) -> Option<(ContextHandle, R)> {
        let plugin = filter.plugin(connection.port())?;
        filter.owner.open(plugin, |vm, root| {
            let context = vm.open_tcp(root, connection.info())?;
            Ok((context, then(vm, context)?))
        })
    }

    /// Shows the filter what is held of one way; it may change it.
    pub(super) fn data(
        &self,
        filter: &ChainFilter,
        connection: &impl ConnectionInfo,
        direction: Direction,
        held: &mut BytesMut,
        end: End,
    ) -> Action {
        let holding = self.stage.get() == Stage::Holding;
        let action = self.visit(filter, |vm, context| {
            // One that has held the connection since it opened is asked in any case:
            // only its answer lets it pass.
            if !holding && !vm.wants_data(context, direction) {
                return Ok(Action::Continue);
            }
            if let Some(info) = vm.tcp_mut(context) {
                connection.refresh(info);
            }
            match direction {
                Direction::Downstream => vm.downstream_data(context, held, end),
                Direction::Upstream => vm.upstream_data(context, held, end),
            }
        });
        // Without a context nothing is held back, unless it must be inspected.
        action.unwrap_or(match filter.owner.failure() {
            Failure::Closed => Action::Pause,
            Failure::Open | Failure::Reload => Action::Continue,
        })
    }

    /// As in Envoy this says that the replica's FIN was seen, no more. The balancer need
    /// not know of an end that comes after an answer.
    pub(super) fn close_upstream(&self, filter: &ChainFilter) {
        if !filter.owner.is_balancer() && !self.upstream_closed.replace(true) {
            self.visit(filter, |vm, context| {
                vm.upstream_close(context, Peer::Unknown)
            });
        }
    }

    /// A replica has ended before its first byte. Envoy, which can't say so, calls the
    /// peer unknown.
    pub(super) fn left_unserved(&self, filter: &ChainFilter, connection: &impl ConnectionInfo) {
        self.visit(filter, |vm, context| {
            if let Some(info) = vm.tcp_mut(context) {
                connection.refresh(info);
            }
            vm.upstream_close(context, Peer::Remote)
        });
    }

    /// Calls the filter about the connection. `None`: it has no context for it.
    pub(super) fn visit<R>(
        &self,
        filter: &ChainFilter,
        visit: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>,
    ) -> Option<R> {
        filter.owner.visit(self.handle.get()?, visit)
    }
}
