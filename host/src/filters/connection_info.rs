//! A connection as its filters see it.

use crate::control::command::SessionControl;
use crate::filters::chain::Chain;
use proxy_wasm_engine::TcpInfo;

/// A connection as its filters see it.
pub(crate) trait ConnectionInfo {
    /// The filters it passes.
    fn chain(&self) -> &Chain;
    /// The service's port it is to.
    fn port(&self) -> u16;
    /// Which of several services it is for; `None`: that is not known, or there is one
    /// registry.
    fn service(&self) -> Option<&str>;
    /// Where filters ask it to close or to go on.
    fn control(&self) -> &SessionControl;
    /// What a filter may know of the connection when it opens.
    fn info(&self) -> TcpInfo;
    /// Brings up to date what changes with every chunk.
    fn refresh(&self, info: &mut TcpInfo);
}
