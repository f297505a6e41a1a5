//! A name server whose answers a test changes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, SRV};
use hickory_proto::rr::{Name, RData, Record};

use crate::running::eventually;

/// Answers on a port of 127.0.0.1 for as long as the test runs.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    records: Records,
    asked: Arc<AtomicUsize>,
}

/// Of each name, all lower case and without the last dot; or it is refused.
type Records = Arc<Mutex<HashMap<String, Result<Vec<RData>, ResponseCode>>>>;

impl NameServer {
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let records = Records::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let of_thread = (Arc::clone(&records), Arc::clone(&asked));
        thread::spawn(move || {
            let mut query = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let (records, asked) = &of_thread;
                asked.fetch_add(1, Relaxed);
                let answer = answer(&query[..length], records);
                let _ = socket.send_to(&answer, client);
            }
        });
        NameServer {
            address,
            records,
            asked,
        }
    }

    /// Waits until names were looked up several times: what came before is acted upon then.
    pub(crate) fn is_asked_again(&self) {
        let before = self.asked.load(Relaxed);
        eventually("queries", || {
            (self.asked.load(Relaxed) > before + 10).then_some(())
        });
    }

    /// From now on the name has these addresses; none: there is no such name.
    pub(crate) fn addresses(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|ip| {
            let ip: Ipv4Addr = ip.parse().unwrap();
            RData::A(A(ip))
        });
        self.set(name, Ok(addresses.collect()));
    }

    /// From now on the name has these records: priority, weight, port and target.
    pub(crate) fn services(&self, name: &str, services: &[(u16, u16, u16, &str)]) {
        let services = services.iter().map(|(priority, weight, port, target)| {
            let target = Name::from_ascii(target).unwrap();
            RData::SRV(SRV::new(*priority, *weight, *port, target))
        });
        self.set(name, Ok(services.collect()));
    }

    /// From now on it does not answer for this name.
    pub(crate) fn refuses(&self, name: &str) {
        self.set(name, Err(ResponseCode::Refused));
    }

    fn set(&self, name: &str, records: Result<Vec<RData>, ResponseCode>) {
        let mut all = self.records.lock().unwrap();
        all.insert(name.to_owned(), records);
    }
}

fn answer(query: &[u8], records: &Records) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    let asked = query.queries.first().unwrap();
    answer.add_query(asked.clone());
    let name = asked.name().to_ascii().to_lowercase();
    let records = records.lock().unwrap();
    match records.get(name.trim_end_matches('.')) {
        Some(Err(code)) => answer.metadata.response_code = *code,
        Some(Ok(found)) if !found.is_empty() => {
            let of_type = found
                .iter()
                .filter(|it| it.record_type() == asked.query_type());
            let records =
                of_type.map(|data| Record::from_rdata(asked.name().clone(), 0, data.clone()));
            answer.add_answers(records);
        }
        Some(Ok(_)) | None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().unwrap()
}
