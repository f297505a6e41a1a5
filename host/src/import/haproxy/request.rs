//! What a check of HTTP asks, and what it takes for healthy.

use std::rc::Rc;

use super::expect;
use super::ledger::Ledger;
use super::line::{Line, Word};
use super::settings::Settings;
use super::source::Source;
use crate::import::endpoint::HostPort;
use crate::import::error::ImportError;
use crate::import::found::At;

/// A request, and the statuses of a healthy answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) host: Option<At<String>>,
    /// All but `Host` and `Connection`.
    pub(super) headers: Vec<(String, String)>,
    pub(super) statuses: Vec<(u16, u16)>,
}

/// What is written in the file so far.
struct Asked<'a> {
    method: String,
    path: Option<&'a str>,
    headers: Vec<(Rc<Line>, Word, String, String)>,
}

/// Reads `option httpchk` in the line `option`, `http-check send` and `http-check
/// expect`.
///
/// # Errors
/// A path, a header or a status that can't be read.
pub(super) fn request(
    source: &Source<'_>,
    option: &Rc<Line>,
    settings: &Settings,
    ledger: &mut Ledger,
) -> Result<Request, ImportError> {
    let mut asked = of_option(source, option)?;
    let send = settings.line("http-check send");
    if let Some(send) = send {
        sent(source, send, &mut asked, ledger)?;
    }
    let path = asked.path.unwrap_or("/");
    let shown = match path.starts_with('/') {
        true => path,
        false => "/",
    };
    let says = send.unwrap_or(option);
    if option.words.iter().any(|word| word.text.contains("\r\n")) {
        let text = "HAProxy 2.7 and later refuse headers behind the version; they want \"http-check send\"";
        ledger.advice(option, text);
    }
    if asked.method != "GET" {
        let text = format!(
            "HAProxy asked with {}; replicas are asked with GET here, and without a body",
            asked.method
        );
        ledger.advice(says, text);
    }
    if shown != path {
        ledger.left(says, path, "only a path can be asked for, and / is");
    }
    let headers = asked.headers.iter();
    let length: usize = headers
        .map(|(_, _, name, text)| name.len() + text.len())
        .sum();
    if shown.len() + length > LONGEST_REQUEST {
        let problem = format!("the request is longer than {} KiB", LONGEST_REQUEST >> 10);
        return Err(source.wrong(says, 0, problem));
    }
    let mut request = Request {
        path: shown.to_owned(),
        host: None,
        headers: Vec::new(),
        statuses: expect::statuses(source, settings, ledger)?,
    };
    for (line, word, name, text) in asked.headers {
        source.filled(&line, &word, &text)?;
        let valid = http::HeaderName::try_from(&name).is_ok();
        if !valid || http::HeaderValue::try_from(&text).is_err() {
            let problem = format!("{name:?} can't be a header with this value");
            return Err(source.error(&line.place, word.column, problem));
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => {
                let name = HostPort::read(&text).map(|one| one.host);
                match name.ok().filter(|name| !name.contains(':')) {
                    Some(value) => {
                        let place = line.place.clone();
                        request.host = Some(At { value, place });
                    }
                    None => ledger.left(&line, "Host", "no name of a registry"),
                }
            }
            // Each probe has a connection of its own in any case.
            "connection" | "content-length" | "transfer-encoding" => {}
            _ => {
                request
                    .headers
                    .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
                request.headers.push((name, text));
            }
        }
    }
    let named = |line: &Line| match &request.host {
        Some(host) if host.place == line.place => format!("; \"fqdn\" is {}", host.value),
        Some(_) | None => String::new(),
    };
    let text = format!("\"health\" asks GET {}", request.path);
    ledger.taken(option, format!("option httpchk: {text}{}", named(option)));
    if let Some(send) = send {
        ledger.taken(send, format!("http-check send: {text}{}", named(send)));
    }
    Ok(request)
}

/// `option httpchk [METHOD] [URI] [VERSION\r\nNAME:\ VALUE...]`
fn of_option<'a>(source: &Source<'_>, option: &'a Rc<Line>) -> Result<Asked<'a>, ImportError> {
    let mut asked = Asked {
        method: "OPTIONS".to_owned(),
        path: None,
        headers: Vec::new(),
    };
    let version = match option.rest(2) {
        [] => return Ok(asked),
        [_] => {
            asked.path = Some(source.value(option, 2, "a path")?);
            return Ok(asked);
        }
        [method, _, version @ ..] => {
            asked.method.clone_from(&method.text);
            asked.path = Some(source.value(option, 3, "a path")?);
            version
        }
    };
    for word in version {
        // Without the escape, the value of a header is the next word.
        let lines = word.text.split("\r\n");
        for (name, text) in lines.filter_map(|line| line.split_once(':')) {
            let text = text.trim().to_owned();
            let name = name.trim().to_owned();
            asked
                .headers
                .push((Rc::clone(option), word.clone(), name, text));
        }
    }
    Ok(asked)
}

/// `http-check send [meth M] [uri U] [ver V] [hdr NAME VALUE]... [body B]`
fn sent<'a>(
    source: &Source<'_>,
    line: &'a Rc<Line>,
    asked: &mut Asked<'a>,
    ledger: &mut Ledger,
) -> Result<(), ImportError> {
    let mut index = 2;
    while let Some(word) = line.words.get(index) {
        let value = index + 1;
        index += match word.text.as_str() {
            "meth" => {
                source
                    .value(line, value, "a method")?
                    .clone_into(&mut asked.method);
                2
            }
            "uri" => {
                asked.path = Some(source.value(line, value, "a path")?);
                2
            }
            "hdr" => {
                let name = source.value(line, value, "a name")?.to_owned();
                let Some(text) = line.words.get(value + 1) else {
                    return Err(source.wrong(line, value + 1, format!("{name:?} needs a value")));
                };
                let header = (Rc::clone(line), text.clone(), name, text.text.clone());
                asked.headers.push(header);
                3
            }
            "ver" | "comment" => 2,
            other => {
                ledger.left(line, other, "not had");
                2
            }
        };
    }
    Ok(())
}

/// In bytes: each service has a copy.
const LONGEST_REQUEST: usize = 4 << 10;
