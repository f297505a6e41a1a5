//! The journal of systemd, by its [native protocol](https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::{Map, Value};
use tracing::Level;

use super::syslog::{self, IDENTIFIER};

/// Where it listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The datagram of a line, which is JSON: the message, the priority, and the fields of the
/// event, `DTR_LB_` before their names.
pub(super) fn datagram(line: &[u8]) -> Cow<'_, [u8]> {
    let mut datagram = Vec::with_capacity(2 * line.len());
    push(&mut datagram, "SYSLOG_IDENTIFIER", IDENTIFIER);
    let event: Map<String, Value> = match serde_json::from_slice(line) {
        Ok(event) => event,
        // Only of a line that is no event, and there is none.
        Err(_) => {
            push(&mut datagram, "MESSAGE", &String::from_utf8_lossy(line));
            return Cow::Owned(datagram);
        }
    };
    for (name, value) in &event {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        match name.as_str() {
            // It has its own.
            "timestamp" => {}
            "message" => push(&mut datagram, "MESSAGE", &text),
            "level" => {
                let level = Level::from_str(&text).unwrap_or(Level::INFO);
                push(
                    &mut datagram,
                    "PRIORITY",
                    &syslog::severity(level).to_string(),
                );
            }
            _ => push(&mut datagram, &field_name(name), &text),
        }
    }
    Cow::Owned(datagram)
}

/// A field's name takes capital letters, digits and underscores, 64 in all.
fn field_name(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
        _ => '_',
    });
    "DTR_LB_".chars().chain(letters).take(64).collect()
}

/// A value of several lines comes after its length.
fn push(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    match value.contains('\n') {
        false => datagram.push(b'='),
        true => {
            datagram.push(b'\n');
            datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        }
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_a_line_are_fields_of_the_journal() {
        let line = r#"{"timestamp":"now","level":"WARN","message":"a\nb","up":7,"my-x":"=","target":"access"}"#;
        let mut expected = b"SYSLOG_IDENTIFIER=dtr-lb\n".to_vec();
        let fields = [
            &b"PRIORITY=4\n"[..],
            b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n",
            b"DTR_LB_MY_X==\n",
            b"DTR_LB_TARGET=access\n",
            b"DTR_LB_UP=7\n",
        ];
        let datagram = datagram(line.as_bytes());
        for field in fields {
            let has = datagram.windows(field.len()).any(|part| part == field);
            assert!(has, "{:?}", String::from_utf8_lossy(&datagram));
            expected.extend_from_slice(field);
        }
        assert_eq!(datagram.len(), expected.len(), "and nothing else");
    }

    #[test]
    fn a_line_that_is_no_event_is_a_message() {
        let datagram = datagram(b"what?");
        assert_eq!(&*datagram, b"SYSLOG_IDENTIFIER=dtr-lb\nMESSAGE=what?\n");
    }
}
