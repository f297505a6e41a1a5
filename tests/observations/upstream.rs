//! Real upstreams for the scenes on Envoy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use socket2::{Domain, Socket, Type};

use super::scene::Behaviour;

/// One listening socket; what it accepts comes out of `accepted` unless it is
/// answered here.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Receiver<TcpStream>,
    _taken: Option<Socket>,
}

impl Upstream {
    pub(crate) fn open(behaviour: Behaviour, answers: bool) -> Upstream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let (sender, accepted) = channel();
        if matches!(behaviour, Behaviour::Refuses) {
            // Nobody listens there, and nobody else can get the port.
            let _taken = Some(socket);
            return Upstream {
                address,
                accepted,
                _taken,
            };
        }
        socket.listen(128).unwrap();
        let listener = TcpListener::from(socket);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if answers {
                    std::thread::spawn(move || serve(stream, behaviour));
                } else if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Upstream {
            address,
            accepted,
            _taken: None,
        }
    }
}

/// Answers each request of a connection when it is complete.
fn serve(mut stream: TcpStream, behaviour: Behaviour) {
    let mut data = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = stream.read(&mut buffer) {
        data.extend_from_slice(&buffer[..size]);
        while let Some(end) = complete(&data) {
            data.drain(..end);
            let answer = match behaviour {
                Behaviour::Answers(status, body) => format!(
                    "HTTP/1.1 {status} Fine\r\nserver: upstream\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ),
                _ => "HTTP/1.1 200 Fine\r\ncontent-length: 99\r\n\r\nhalf".to_owned(),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if matches!(behaviour, Behaviour::BreaksOff) {
                return;
            }
        }
    }
}

/// Where the first request ends, if all of it is there.
fn complete(data: &[u8]) -> Option<usize> {
    let find = |from: usize, what: &[u8]| {
        let rest = data.get(from..)?;
        let found = rest.windows(what.len()).position(|window| window == what)?;
        Some(from + found + what.len())
    };
    let head = find(0, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&data[..head]).to_lowercase();
    if text.contains("transfer-encoding: chunked") {
        let last = find(head.saturating_sub(2), b"\r\n0\r\n")?;
        return find(last.saturating_sub(2), b"\r\n\r\n");
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    (data.len() >= head + length).then_some(head + length)
}
