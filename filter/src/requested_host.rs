//! The registry that a client of plain HTTP asks for, by its first bytes.

/// What a connection's first bytes say of the host that its client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedHost<'a> {
    /// The `Host` of an HTTP/1 request, without its port.
    Named(&'a str),
    /// Nothing: it is no HTTP/1, or has no `Host`, or none within [`HEAD_LIMIT`].
    None,
    /// Not yet.
    Incomplete,
}

/// In this many bytes a client has to say which registry it wants, in TLS as well.
pub const HEAD_LIMIT: usize = 16 * 1024;

impl RequestedHost<'_> {
    /// Reads what a client has sent so far: RFC 9112, sections 3 and 5. A request is not
    /// judged here; the replica does that.
    ///
    /// ```
    /// use dtr_lb_filter::requested_host::RequestedHost;
    ///
    /// let request = b"GET /v2/ HTTP/1.1\r\nHost: dtr.example.com:80\r\n";
    /// assert_eq!(RequestedHost::of(request), RequestedHost::Named("dtr.example.com"));
    /// assert_eq!(RequestedHost::of(&request[..30]), RequestedHost::Incomplete);
    /// assert_eq!(RequestedHost::of(b"\x16\x03\x01"), RequestedHost::None);
    /// ```
    pub fn of(sent: &[u8]) -> RequestedHost<'_> {
        let within = sent.get(..HEAD_LIMIT).unwrap_or(sent);
        let mut lines = Lines(within);
        let unfinished = match sent.len() < HEAD_LIMIT {
            true => RequestedHost::Incomplete,
            false => RequestedHost::None,
        };
        match lines.next() {
            Some(line) if is_request_line(line) => {}
            Some(_) => return RequestedHost::None,
            // Its end may be half there.
            None if begins_with_method(within.strip_suffix(b"\r").unwrap_or(within)) => {
                return unfinished;
            }
            None => return RequestedHost::None,
        }
        for line in &mut lines {
            if line.is_empty() {
                return RequestedHost::None;
            }
            if let Some(value) = value_of_host(line) {
                let name = std::str::from_utf8(value).ok().map(without_port);
                return name.map_or(RequestedHost::None, RequestedHost::Named);
            }
        }
        unfinished
    }
}

/// The lines that are complete, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (self.0.get(..end)?, self.0.get(end + 1..)?);
        self.0 = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn is_request_line(line: &[u8]) -> bool {
    let version = line.rsplit(|byte| *byte == b' ').next();
    begins_with_method(line) && version.is_some_and(|version| version.starts_with(b"HTTP/1."))
}

/// Whether it begins with a method, as far as it goes, and has no control characters.
fn begins_with_method(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_there = !method.is_empty() || line.is_empty();
    is_there && method.iter().all(is_token) && !line.iter().any(u8::is_ascii_control)
}

/// The value of a header line, if it is of `Host`.
fn value_of_host(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    name.eq_ignore_ascii_case(b"host")
        .then(|| value.trim_ascii())
}

/// An IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    let port = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    host.get(..port).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::RequestedHost::{self, Incomplete, Named, None};

    #[test]
    fn host_is_found_in_http_and_in_nothing_else() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n", "x".repeat(17_000));
        let late = format!("GET / HTTP/1.1\r\nX: {}\r\nHost: a\r\n", "x".repeat(17_000));
        let cases: [(&str, &[u8], RequestedHost<'_>); 25] = [
            ("nothing", b"", Incomplete),
            ("a method", b"GE", Incomplete),
            ("a whole line", b"GET / HTTP/1.1\r\n", Incomplete),
            ("a line with its CR", b"GET / HTTP/1.1\r", Incomplete),
            ("half a header", b"GET / HTTP/1.1\r\nHost: a", Incomplete),
            ("a header", b"GET / HTTP/1.1\r\nHost: a\r\n", Named("a")),
            (
                "in another case",
                b"PUT / HTTP/1.1\r\nhOST:a\r\n",
                Named("a"),
            ),
            (
                "with a port",
                b"GET / HTTP/1.1\r\nHost: a:80\r\n",
                Named("a"),
            ),
            (
                "an address",
                b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n",
                Named("[::1]"),
            ),
            (
                "another before",
                b"GET / HTTP/1.1\r\nA: b\r\nHost: c\r\n",
                Named("c"),
            ),
            ("bare newlines", b"GET / HTTP/1.1\nHost: a\n", Named("a")),
            (
                "the first of two",
                b"GET / HTTP/1.1\nHost: a\nHost: b\n",
                Named("a"),
            ),
            ("HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\n", Named("a")),
            ("none", b"GET / HTTP/1.0\r\n\r\n", None),
            ("an empty one", b"GET / HTTP/1.1\r\nHost:\r\n", Named("")),
            ("in the body", b"GET / HTTP/1.1\r\n\r\nHost: a\r\n", None),
            ("not UTF-8", b"GET / HTTP/1.1\r\nHost: \xff\r\n", None),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n", None),
            ("TLS", b"\x16\x03\x01\x02\x00", None),
            ("SSH", b"SSH-2.0-OpenSSH\r\n", None),
            ("a control character", b"GET \x00", None),
            ("a space", b" GET", None),
            ("two CRs", b"GET / HTTP/1.1\r\r\n", None),
            ("a long line", long.as_bytes(), None),
            ("a late header", late.as_bytes(), None),
        ];
        for (why, sent, expected) in cases {
            assert_eq!(RequestedHost::of(sent), expected, "{why}");
        }
    }

    #[test]
    fn what_is_known_of_a_part_holds_for_the_whole() {
        let whole = b"GET /v2/ HTTP/1.1\r\nAccept: */*\r\nHost: dtr.example.com:80\r\n\r\n";
        for length in 0..whole.len() {
            match RequestedHost::of(&whole[..length]) {
                Incomplete => {}
                known => assert_eq!(known, Named("dtr.example.com"), "{length} bytes"),
            }
        }
    }
}
