//! Stand-ins for a registry's replicas: what `dtr-lb demo` balances.
//!
//! A [`Registry`] has several [`Replica`]s. Each serves HTTP on one port and HTTPS
//! on another, with the endpoints of Docker Trusted Registry, and changes its
//! [`Condition`] while it runs.
//!
//! | path | response |
//! |---|---|
//! | `/_ping`, `/health` | `{"Error": "", "Healthy": true}`, or as its condition is |
//! | `/v2/` | 401, as a registry answers a client without a login |
//! | `/blob/SIZE` | SIZE bytes of a fixed pattern, streamed |
//! | `/echo` | the request's body, streamed back |
//! | `/api/v0/meta/cluster_status` | the health of all replicas, to `admin:password` |
//! | `/v2/NAME/blobs/uploads/` | begins an upload, which has no contents, to say and to delete where it goes on; with a token of `/auth/token`, had by `admin:password` |
//! | any other | method, path, `Host` and SNI of the request, as JSON |
//!
//! Every response names its replica in `x-replica`.

mod accept;
mod blob;
mod certificate;
mod condition;
mod control;
mod deviation;
mod registry;
mod replica;
mod response;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod upload;

pub use condition::{Condition, UnknownCondition};
pub use control::Control;
pub use deviation::Deviation;
pub use registry::Registry;
pub use replica::Replica;
pub use state::Ping;
