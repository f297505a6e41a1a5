//! Which header maps the guest may read and change at this moment.

use super::abi::{ContextId, Headers, MapKind, Profile};
use super::context::{Http, Kind, MapAccess};
use super::state::VmState;
use super::status::HostcallError;

impl VmState {
    /// The map as the guest may read it.
    pub(super) fn map(&self, kind: MapKind) -> Option<&Headers> {
        let context = self.acting()?;
        let root = || self.contexts.root(context.root);
        match kind {
            MapKind::GrpcInitialMetadata => root()?.grpc_initial.as_ref(),
            MapKind::GrpcTrailingMetadata => root()?.grpc_trailing.as_ref(),
            MapKind::CallHeaders => self.answered(&root()?.reply.as_ref()?.headers),
            MapKind::CallTrailers => self.answered(&root()?.reply.as_ref()?.trailers),
            _ => match &context.kind {
                Kind::Http(http) if self.reads(http.access(kind)) => http.map(kind),
                _ => None,
            },
        }
    }

    /// Part of a call's answer. As in Envoy, what did not come is not there, which
    /// guests are to expect; by the specification it is empty.
    fn answered<'a>(&self, map: &'a Headers) -> Option<&'a Headers> {
        (self.profile == Profile::Spec || !map.is_empty()).then_some(map)
    }

    /// The map as the guest may change it.
    ///
    /// # Errors
    /// "Bad argument" when it may not.
    pub(super) fn map_mut(&mut self, kind: MapKind) -> Result<&mut Headers, HostcallError> {
        let envoy = self.profile == Profile::Envoy;
        match &mut self.acting_mut().ok_or(HostcallError::BadArgument)?.kind {
            Kind::Http(http) if !envoy || http.access(kind) == MapAccess::Write => {
                http.map_mut(kind).ok_or(HostcallError::BadArgument)
            }
            _ => Err(HostcallError::BadArgument),
        }
    }

    pub(super) fn set_access(&mut self, context: ContextId, kind: MapKind, access: MapAccess) {
        let http = self.contexts.http_mut(context);
        if let Some(slot) = http.and_then(|http| http.access.get_mut(kind as usize)) {
            *slot = access;
        }
    }

    /// Whether HTTP streams are logged after they are done, as the
    /// specification has it, rather than before.
    pub(super) fn logs_last(&self) -> bool {
        self.profile == Profile::Spec
    }

    /// Before `on_log`: what is known can be read, and not changed.
    pub(super) fn begin_log(&mut self, context: ContextId) {
        self.scope.logging = true;
        if let Some(http) = self.contexts.http_mut(context) {
            http.access = [MapAccess::Read; 4];
        }
    }

    pub(super) fn end_log(&mut self, context: ContextId) {
        let envoy = self.profile == Profile::Envoy;
        self.scope.logging = false;
        if let Some(http) = self.contexts.http_mut(context) {
            http.access = [MapAccess::None; 4];
            http.over = envoy;
        }
    }

    /// The map as attributes show it.
    pub(super) fn shown<'a>(&self, http: &'a Http, kind: MapKind) -> Option<&'a Headers> {
        if self.reads(http.access(kind)) {
            http.map(kind)
        } else {
            None
        }
    }

    fn reads(&self, access: MapAccess) -> bool {
        access != MapAccess::None || self.profile == Profile::Spec
    }
}
