//! The name that a client asks for: RFC 6066, section 3. Where the ClientHello is
//! encrypted that is the outer one's.

use super::{Body, CLIENT_HELLO, Record, VERSION_AND_RANDOM};

/// What a ClientHello says of the name that its client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerName {
    /// This one.
    Named(String),
    /// None, or it is no ClientHello.
    None,
    /// The ClientHello is not whole.
    Incomplete,
}

/// Reads what a client has sent so far, of which `most` bytes matter: a ClientHello that
/// is longer says nothing.
pub(crate) fn server_name(sent: &[u8], most: usize) -> ServerName {
    let sent = &sent[..sent.len().min(most)];
    let mut message = Vec::new();
    let mut rest = sent;
    while let Some(record) = Record::first(rest) {
        message.extend_from_slice(record.held);
        match whole(&message) {
            Whole::Hello(body) => {
                return name(body).map_or(ServerName::None, ServerName::Named);
            }
            Whole::Other => return ServerName::None,
            Whole::NotYet if record.is_whole() && !record.rest.is_empty() => rest = record.rest,
            Whole::NotYet if sent.len() < most => return ServerName::Incomplete,
            Whole::NotYet => return ServerName::None,
        }
    }
    ServerName::None
}

/// What there is of a message.
enum Whole<'a> {
    Hello(&'a [u8]),
    /// Another message.
    Other,
    NotYet,
}

fn whole(message: &[u8]) -> Whole<'_> {
    let Some((kind, rest)) = message.split_first() else {
        return Whole::NotYet;
    };
    if *kind != CLIENT_HELLO {
        return Whole::Other;
    }
    match Body(rest).list(3) {
        Some(body) => Whole::Hello(body),
        None => Whole::NotYet,
    }
}

/// The name in a ClientHello's extensions; `None`: there is none, or it is malformed.
fn name(hello: &[u8]) -> Option<String> {
    let mut hello = Body(hello);
    hello.skip(VERSION_AND_RANDOM)?;
    // Session id, cipher suites, compression methods.
    for width in [1, 2, 1] {
        hello.list(width)?;
    }
    let mut extensions = Body(hello.list(2)?);
    while let Some(kind) = extensions.number(2) {
        let content = extensions.list(2)?;
        if kind == SERVER_NAME {
            let mut names = Body(Body(content).list(2)?);
            let is_host = names.number(1)? == HOST_NAME;
            let name = names.list(2).filter(|_| is_host)?;
            return String::from_utf8(name.to_vec()).ok();
        }
    }
    None
}

/// The extension that names the server.
const SERVER_NAME: usize = 0;
/// The only kind of names there is.
const HOST_NAME: usize = 0;

#[cfg(test)]
mod tests {
    use super::super::fixture::{extension, in_records_of, length, message};
    use super::*;

    const MOST: usize = 16 * 1024;

    fn server_name_extension(name: &str) -> Vec<u8> {
        let entry = [&[0], &length(name.as_bytes(), 2)[..], name.as_bytes()].concat();
        extension(0, &[length(&entry, 2), entry].concat())
    }

    fn named(name: &str) -> ServerName {
        ServerName::Named(name.to_owned())
    }

    #[test]
    fn the_name_is_found_wherever_it_stands() {
        let grease = || extension(0x0a0a, &[]);
        let padding = |size: usize| extension(21, &vec![0; size]);
        let asks = || server_name_extension("dtr.example.com");
        let dtr = named("dtr.example.com");
        let one = |extensions: &[Vec<u8>]| in_records_of(1 << 14, &message(extensions));
        let cases = [
            ("alone", one(&[asks()]), dtr.clone()),
            (
                "among others",
                one(&[grease(), asks(), padding(9)]),
                dtr.clone(),
            ),
            (
                "after much else",
                one(&[padding(12_000), asks()]),
                dtr.clone(),
            ),
            (
                "in small records",
                in_records_of(1, &message(&[asks()])),
                dtr.clone(),
            ),
            (
                "with what follows the ClientHello",
                [one(&[asks()]), vec![23, 3, 3, 0, 1, 9]].concat(),
                dtr.clone(),
            ),
            ("without extensions", one(&[]), ServerName::None),
            ("with others alone", one(&[grease()]), ServerName::None),
            (
                "another message",
                in_records_of(9, &[2, 0, 0, 0]),
                ServerName::None,
            ),
            ("an alert", vec![21, 3, 1, 0, 2, 2, 40], ServerName::None),
            ("an empty record", vec![22, 3, 1, 0, 0], ServerName::None),
            (
                "another protocol",
                b"GET / HTTP/1.1".to_vec(),
                ServerName::None,
            ),
            (
                "a name that is no UTF-8",
                one(&[extension(0, &[0, 4, 0, 0, 1, 0xff])]),
                ServerName::None,
            ),
            (
                "a name whose length is wrong",
                one(&[extension(0, &[0, 9, 0, 0, 1, 97])]),
                ServerName::None,
            ),
            (
                "longer than what is read",
                in_records_of(1 << 14, &message(&[padding(17_000), asks()])),
                ServerName::None,
            ),
        ];
        for (why, sent, expected) in cases {
            assert_eq!(server_name(&sent, MOST), expected, "{why}");
        }
    }

    #[test]
    fn a_part_of_a_hello_says_nothing_yet() {
        for size in [1, 3, 50, 1 << 14] {
            let sent = in_records_of(size, &message(&[server_name_extension("dtr.example.com")]));
            for end in 0..sent.len() {
                let found = server_name(&sent[..end], MOST);
                assert_eq!(
                    found,
                    ServerName::Incomplete,
                    "{end} bytes in records of {size}"
                );
            }
            assert_eq!(server_name(&sent, MOST), named("dtr.example.com"), "{size}");
        }
    }

    #[test]
    fn sixteen_kibibytes_are_read_and_no_more() {
        let whole = |size: usize| {
            let rest = in_records_of(
                MOST,
                &message(&[extension(21, &[]), server_name_extension("a")]),
            );
            let padding = extension(21, &vec![0; size - rest.len()]);
            in_records_of(MOST, &message(&[padding, server_name_extension("a")]))
        };
        assert_eq!(server_name(&whole(MOST), MOST), named("a"));
        assert_eq!(server_name(&whole(MOST + 1), MOST), ServerName::None);
    }
}
