//! The page of the admin listener: one file, which asks for `/status` now and then.

use super::http::{self, Response};

/// The page. Its headers say what a browser may do with it: run the one
/// script that is in it, talk to the listener it came from, and nothing else, so
/// that not even a mistake in the page lets a replica's text do harm.
pub(crate) fn page() -> Response {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{SCRIPT_SHA256}'; style-src 'unsafe-inline'; \
         img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        // Whatever a client accepts: the module has it in no other form.
        ("content-encoding", "gzip"),
        ("content-security-policy", &policy),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    Response {
        status: 200,
        headers: http::owned(&headers),
        body: PAGE.to_vec(),
    }
}

/// As the build script compresses it.
const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));

/// Of what stands between the page's script tags, in base64; a test says the new
/// one after a change.
const SCRIPT_SHA256: &str = "49ihBsGvbe8vJnZ+PwZ6VUY4rF6iHR4yRKnqPFJCTzU=";

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/page.html"));

    #[test]
    fn the_policy_has_the_hash_of_the_pages_script() {
        let (_, rest) = PAGE.split_once("<script>").expect("the page has a script");
        let (script, after) = rest.split_once("</script>").expect("the script ends");
        let hash = base64::engine::general_purpose::STANDARD.encode(ring::digest::digest(
            &ring::digest::SHA256,
            script.as_bytes(),
        ));

        assert_eq!(SCRIPT_SHA256, hash);
        assert!(!after.contains("<script"), "only one script is allowed for");
    }

    #[test]
    fn the_page_needs_no_other_file() {
        for reference in ["http:", "https:", "src=", "url(", "@import"] {
            let found = PAGE
                .replace("http://www.w3.org/2000/svg", "")
                .contains(reference);
            assert!(!found, "{reference} refers to another file");
        }
    }

    #[test]
    fn texts_of_replicas_never_become_markup() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!PAGE.contains(way), "{way} would read a text as markup");
        }
    }
}
