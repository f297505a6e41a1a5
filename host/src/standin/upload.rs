//! Uploads without contents: begun at one replica, known at those that share its storage and
//! its secret.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};

use super::state::{ReplicaState, lock};

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadAnswer {
    /// It goes on there.
    Begun(String),
    Known,
    Deleted,
    Refused(StatusCode, &'static str),
}

/// Whether it is about uploads.
pub(super) fn is_upload(path: &str) -> bool {
    path.starts_with("/v2/") && path.contains(UPLOADS)
}

/// What comes of a request about uploads.
pub(super) fn answer(
    method: &Method,
    path: &str,
    query: &str,
    state: &ReplicaState,
) -> UploadAnswer {
    let own = state.deviation();
    let id = path.split_once(UPLOADS).map_or("", |(_, id)| id);
    if id.is_empty() {
        let mut begun = lock(&state.uploads.begun);
        let id = format!("{}-{}", state.name, begun.len());
        let location = format!("{path}{id}?_state={}", own.secret);
        begun.insert(id);
        return UploadAnswer::Begun(location);
    }
    if query != format!("_state={}", own.secret) {
        return UploadAnswer::Refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID");
    }
    let is_own = lock(&state.uploads.begun).contains(id);
    let is_late = || state.uploads.asked.fetch_add(1, Ordering::Relaxed) < own.lag;
    let members = lock(&state.members).clone();
    let mut sharing = members
        .iter()
        .filter(|it| it.deviation().storage == own.storage);
    let holder = sharing.find(|it| lock(&it.uploads.begun).contains(id));
    match holder {
        Some(_) if !is_own && is_late() => {}
        Some(holder) if method == Method::DELETE => {
            lock(&holder.uploads.begun).remove(id);
            return UploadAnswer::Deleted;
        }
        Some(_) => return UploadAnswer::Known,
        None => {}
    }
    UploadAnswer::Refused(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN")
}

const UPLOADS: &str = "/blobs/uploads/";
