//! The dashboard: one page that needs no other file and no network.

/// The page, as it is sent.
pub(crate) const PAGE: &str = include_str!("page.html");

/// What the page may do, for the browser to enforce: run what is in it, talk to
/// where it came from, be framed by nobody.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
