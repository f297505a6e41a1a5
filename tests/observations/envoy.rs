//! The scenes' stage on a real Envoy.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use dtr_lb_tests::{LIMIT, envoy_binary};
use proxy_wasm_testkit::Build;
use serde_json::{Value, json};

use super::ends::{Ends, eventually};
use super::scene::{Act, Protocol, Setting, Stage};
use super::upstream::Upstream;

pub(crate) struct Envoy {
    process: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    ends: Ends,
    lines: Receiver<String>,
    /// What the guest logged so far.
    logs: Vec<String>,
    answer: Option<Answer>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Envoy {
    pub(crate) fn open(setting: Setting) -> Envoy {
        let guest = Build::new("guests").example(setting.guest).run().unwrap();
        let ends = Ends::of(setting);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("envoy.json");
        let own_admin = folder.path().join("admin");
        let bootstrap = bootstrap(
            setting,
            &guest.path().unwrap().to_string_lossy(),
            &ends.upstreams,
        );
        std::fs::write(&file, bootstrap.to_string()).unwrap();
        let mut process = Command::new(envoy_binary().unwrap())
            .arg("--config-path")
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&own_admin)
            .args(["--use-dynamic-base-id", "--concurrency", "1"])
            .args([
                "--log-level",
                "warning",
                "--component-log-level",
                "wasm:trace",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some(line) = guest_message(&line)
                    && sender.send(line).is_err()
                {
                    return;
                }
            }
        });
        let address = eventually("Envoy's listener", || {
            listener(&std::fs::read_to_string(&own_admin).ok()?)
        });
        Envoy {
            process,
            _folder: folder,
            address,
            ends,
            lines,
            logs: Vec::new(),
            answer: None,
        }
    }

    fn connect(&mut self) {
        self.ends.connect(self.address);
        self.answer = None;
    }

    fn answer(&mut self) -> &Answer {
        if self.answer.is_none() {
            self.answer = Some(read_answer(self.ends.client()));
        }
        self.answer.as_ref().unwrap()
    }
}

impl Stage for Envoy {
    fn play(&mut self, act: Act) {
        match act {
            Act::Asks(path, headers) => {
                self.connect();
                let mut head = format!("GET {path} HTTP/1.1\r\nhost: example.com\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                self.ends.write(&format!("{head}\r\n"));
            }
            Act::Posts(path) => {
                self.connect();
                self.ends.write(&format!(
                    "POST {path} HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\r\n"
                ));
            }
            Act::Body(bytes) => self
                .ends
                .write(&format!("{:x}\r\n{bytes}\r\n", bytes.len())),
            Act::BodyEnds => self.ends.write("0\r\n\r\n"),
            Act::Trailers(name, value) => self.ends.write(&format!("0\r\n{name}: {value}\r\n\r\n")),
            Act::IsAnswered(status, body) => {
                let answer = self.answer();
                assert_eq!((answer.status, answer.body.as_str()), (status, body));
            }
            Act::HasHeader(name, value) => {
                let head = &self.answer().head;
                let line = format!("{name}: {value}");
                assert!(
                    head.lines().any(|known| known == line),
                    "no {line} in {head}"
                );
            }
            of_tcp => self.ends.play(self.address, of_tcp),
        }
    }

    fn logs(&self) -> Vec<String> {
        self.logs.clone()
    }

    fn wait_for(&mut self, lines: usize) {
        let limit = Instant::now() + LIMIT;
        while self.logs.len() < lines {
            match self
                .lines
                .recv_timeout(limit.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.logs.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
        // One too many is a difference, too, if it is there already.
        self.logs.extend(self.lines.try_iter());
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn bootstrap(setting: Setting, wasm: &str, upstreams: &HashMap<&str, Upstream>) -> Value {
    let plugin = json!({
        "name": "plugin",
        "vm_config": {
            "vm_id": "observed", "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": wasm}},
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": setting.configuration,
        },
    });
    let extension = |name: &str, rest: Value| {
        let mut config = json!({"@type": format!("type.googleapis.com/envoy.extensions.{name}")});
        config
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        json!({"name": name, "typed_config": config})
    };
    let filters = match setting.protocol {
        Protocol::Tcp => json!([
            extension("filters.network.wasm.v3.Wasm", json!({"config": plugin})),
            extension(
                "filters.network.tcp_proxy.v3.TcpProxy",
                json!({
                    "stat_prefix": "tcp", "cluster": "default",
                })
            ),
        ]),
        Protocol::Http => {
            let manager = "filters.network.http_connection_manager.v3.HttpConnectionManager";
            json!([extension(
                manager,
                json!({
                    "stat_prefix": "http",
                    "http_protocol_options": {"enable_trailers": true},
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "default"}}],
                    }]},
                    "http_filters": [
                        extension("filters.http.wasm.v3.Wasm", json!({"config": plugin})),
                        extension("filters.http.router.v3.Router", json!({})),
                    ],
                })
            )])
        }
    };
    let address = |address: SocketAddr| {
        let (ip, port) = (address.ip().to_string(), address.port());
        json!({"socket_address": {"address": ip, "port_value": port}})
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let clusters = upstreams.iter().map(|(name, upstream)| {
        let endpoint = json!({"endpoint": {"address": address(upstream.address)}});
        json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}],
            },
        })
    });
    json!({
        "admin": {"address": address(any)},
        "static_resources": {
            "listeners": [{
                "name": "scene", "address": address(any), "filter_chains": [{"filters": filters}],
            }],
            "clusters": clusters.collect::<Vec<_>>(),
        },
    })
}

/// What the guest logged, in a line of Envoy's log.
fn guest_message(line: &str) -> Option<String> {
    let (_, message) = line.split_once("wasm log")?;
    let (_, message) = message.split_once(": ")?;
    Some(message.trim().to_owned())
}

/// Where the scene's listener is, asked of Envoy's own admin listener.
fn listener(admin: &str) -> Option<SocketAddr> {
    let mut admin = TcpStream::connect(admin.trim()).ok()?;
    admin.set_read_timeout(Some(LIMIT)).ok()?;
    admin
        .write_all(b"GET /listeners HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    admin.read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("scene::"))?;
    line.trim().parse().ok()
}

fn read_answer(client: &mut TcpStream) -> Answer {
    let mut data = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&data).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            // Envoy writes the names of headers in lower case.
            let head = head.replace("\r\n", "\n");
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let body = match length {
                Some(length) if body.len() == length.parse::<usize>().unwrap() => {
                    Some(body.to_owned())
                }
                None if body.ends_with("0\r\n\r\n") => Some(dechunked(body)),
                _ => None,
            };
            if let Some(body) = body {
                return Answer { status, head, body };
            }
        }
        match client.read(&mut buffer) {
            Ok(0) => panic!("the connection ended with {text:?}"),
            Ok(size) => data.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no answer but {text:?}: {error}"),
        }
    }
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}
