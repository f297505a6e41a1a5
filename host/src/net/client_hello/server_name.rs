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
    use super::*;

    const MOST: usize = 16 * 1024;

    /// An extension, or anything else after its type of two bytes and its length of two.
    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes(), &length(content, 2)[..], content].concat()
    }

    fn length(of: &[u8], width: usize) -> Vec<u8> {
        of.len().to_be_bytes()[8 - width..].to_vec()
    }

    fn server_name_extension(name: &str) -> Vec<u8> {
        let entry = [&[0], &length(name.as_bytes(), 2)[..], name.as_bytes()].concat();
        extension(0, &[length(&entry, 2), entry].concat())
    }

    /// A ClientHello with these extensions, as a message.
    fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let extensions = extensions.concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0, 0, 4, 0x1a, 0x1a, 0x13, 0x01, 1, 0],
            &length(&extensions, 2),
            &extensions,
        ];
        let body = body.concat();
        [&[1], &length(&body, 3)[..], &body].concat()
    }

    /// A message in records of this many bytes each.
    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let record = |part: &[u8]| [&[22, 3, 1], &length(part, 2)[..], part].concat();
        message.chunks(size).flat_map(record).collect()
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
        let one = |extensions: &[Vec<u8>]| records(&message(extensions), 1 << 14);
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
                records(&message(&[asks()]), 1),
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
                records(&[2, 0, 0, 0], 9),
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
                records(&message(&[padding(17_000), asks()]), 1 << 14),
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
            let sent = records(&message(&[server_name_extension("dtr.example.com")]), size);
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
            let rest = records(
                &message(&[extension(21, &[]), server_name_extension("a")]),
                MOST,
            );
            let padding = extension(21, &vec![0; size - rest.len()]);
            records(&message(&[padding, server_name_extension("a")]), MOST)
        };
        assert_eq!(server_name(&whole(MOST), MOST), named("a"));
        assert_eq!(server_name(&whole(MOST + 1), MOST), ServerName::None);
    }
}
