//! The registry's own word on its replicas, `/api/v0/meta/cluster_status`: what each
//! replica says of all, side by side. A second witness, never a verdict: the answers come
//! from caches, and need an administrator's password.

mod ask;
mod credentials;
mod finding;
mod findings;
mod report;
mod view;

pub(crate) use ask::ask;
pub use credentials::Credentials;
pub use finding::{Finding, FindingKind};
pub use findings::{Witness, findings};
pub use report::{report, unasked};
pub use view::{Member, View};
