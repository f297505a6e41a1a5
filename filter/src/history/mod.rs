//! What has happened so far, to be shown: the last events, and what each replica has been
//! through.

pub mod event;
pub(crate) mod replica_history;
