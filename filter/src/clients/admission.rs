//! Which clients may connect.

use super::client_key::ClientKey;
use super::open_connections::{OpenConnections, Room};
use crate::balance::listener::Refusal;
use crate::balance::stream::StreamId;
use crate::config::ClientRules;
use crate::shared::board::Store;
use crate::time::Moment;
use std::net::{IpAddr, SocketAddr};

/// Which clients may connect, and what they have open.
#[derive(Debug, Default)]
pub struct Clients {
    /// `None`: all may.
    rules: Option<ClientRules>,
    open: OpenConnections,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    client: IpAddr,
    /// Who has connected, where that is not the client: a proxy that says who its client is.
    proxy: Option<IpAddr>,
}

impl Ends {
    /// From two addresses with their ports, as a host gives them. `None`: the first is none.
    pub fn of(client: &[u8], peer: Option<&[u8]>) -> Option<Ends> {
        let read = |text: &[u8]| str::from_utf8(text).ok()?.parse::<SocketAddr>().ok();
        let client = read(client)?;
        let peer = peer.and_then(read).filter(|peer| *peer != client);
        Some(Ends {
            client: client.ip(),
            proxy: peer.map(|peer| peer.ip()),
        })
    }
}

impl Clients {
    /// Goes on with other rules. What is open is open.
    pub fn configure(&mut self, rules: Option<&ClientRules>) {
        self.rules = rules.cloned();
    }

    /// Whether a client must be known for it to be admitted.
    pub fn needs_client(&self) -> bool {
        self.rules.is_some()
    }

    /// Admits a client, whose connection counts as open from now on. One that is not known
    /// is admitted where no rule names addresses.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admit(
        &mut self,
        store: &mut impl Store,
        stream: StreamId,
        ends: Option<Ends>,
        now: Moment,
    ) -> Result<(), Refusal> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        let Some(Ends { client, proxy }) = ends else {
            return match rules.names_addresses() {
                true => Err(Refusal::Denied),
                false => Ok(()),
            };
        };
        if proxy.is_some_and(|proxy| !rules.trusted_proxies.contain(proxy)) {
            return Err(Refusal::UntrustedHeader);
        }
        if !rules.allows(client) {
            return Err(Refusal::Denied);
        }
        let Some(most) = rules.max_connections else {
            return Ok(());
        };
        match self
            .open
            .open(store, stream, ClientKey::of(client), most, now)
        {
            Room::Taken => Ok(()),
            Room::None => Err(Refusal::ClientLimit),
        }
    }

    /// A connection is open since before this VM.
    pub fn adopt(&mut self, store: &mut impl Store, stream: StreamId, ends: Option<Ends>) {
        let is_counted = |rules: &ClientRules| rules.max_connections.is_some();
        if let Some(ends) = ends
            && self.rules.as_ref().is_some_and(is_counted)
        {
            self.open.adopt(store, stream, ClientKey::of(ends.client));
        }
    }

    /// A connection is over, admitted or not.
    pub fn closed(&mut self, store: &mut impl Store, stream: StreamId) {
        self.open.close(store, stream);
    }

    /// Time went by.
    pub fn tick(&mut self, store: &mut impl Store, now: Moment) {
        let counts = self.rules.as_ref().and_then(|rules| rules.max_connections);
        if counts.is_some() || !self.open.is_idle() {
            self.open.tick(store, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Networks;
    use crate::shared::memory_store::MemoryStore;

    const NOW: Moment = Moment::START;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| text.parse().expect("a network")))
    }

    fn admitted(rules: &ClientRules, client: &str, peer: Option<&str>) -> Result<(), Refusal> {
        let mut admission = Clients::default();
        admission.configure(Some(rules));
        let ends = Ends::of(client.as_bytes(), peer.map(str::as_bytes));
        admission.admit(&mut MemoryStore::default(), StreamId(1), ends, NOW)
    }

    #[test]
    fn deny_wins_over_allow_and_without_allow_all_others_may() {
        let deny = networks(&["10.1.0.0/16", "2001:db8:bad::/48"]);
        let allow = networks(&["10.0.0.0/8", "2001:db8::/32"]);
        let only_deny = ClientRules {
            deny: deny.clone(),
            ..ClientRules::default()
        };
        let only_allow = ClientRules {
            allow: Some(allow.clone()),
            ..ClientRules::default()
        };
        let both = ClientRules {
            deny,
            ..only_allow.clone()
        };
        let cases = [
            ("10.2.0.1:5", [true, true, true]),
            ("10.1.0.1:5", [false, true, false]),
            ("192.0.2.1:5", [true, false, false]),
            ("[2001:db8::1]:5", [true, true, true]),
            ("[2001:db8:bad::1]:5", [false, true, false]),
            ("[::ffff:10.1.0.1]:5", [false, true, false]),
            ("nobody knows", [false, false, false]),
        ];
        for (client, expected) in cases {
            let found = [&only_deny, &only_allow, &both].map(|it| admitted(it, client, None));
            let expected = expected.map(|may| if may { Ok(()) } else { Err(Refusal::Denied) });
            assert_eq!(found, expected, "{client}: deny, allow, both");
        }
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_another() {
        let rules = ClientRules {
            trusted_proxies: networks(&["10.0.0.0/24"]),
            ..ClientRules::default()
        };
        let cases = [
            ("192.0.2.1:5", Some("10.0.0.9:7"), Ok(())),
            ("192.0.2.1:5", None, Ok(())),
            ("192.0.2.1:5", Some("192.0.2.1:5"), Ok(())),
            (
                "192.0.2.1:5",
                Some("10.0.1.9:7"),
                Err(Refusal::UntrustedHeader),
            ),
            (
                "10.0.0.9:5",
                Some("192.0.2.1:7"),
                Err(Refusal::UntrustedHeader),
            ),
            (
                "192.0.2.1:5",
                Some("192.0.2.1:7"),
                Err(Refusal::UntrustedHeader),
            ),
        ];
        for (client, peer, expected) in cases {
            assert_eq!(
                admitted(&rules, client, peer),
                expected,
                "{client} {peer:?}"
            );
        }
    }

    #[test]
    fn a_limit_holds_from_when_it_is_given() {
        let mut store = MemoryStore::default();
        let mut admission = Clients::default();
        let ends = Ends::of(b"192.0.2.1:5", None);
        let limit = |most| ClientRules {
            max_connections: most,
            ..ClientRules::default()
        };
        let mut admit = |rules: Option<ClientRules>, stream| {
            admission.configure(rules.as_ref());
            admission.admit(&mut store, StreamId(stream), ends, NOW)
        };
        assert_eq!(admit(None, 1), Ok(()));
        assert_eq!(
            admit(Some(limit(Some(1))), 2),
            Ok(()),
            "the first was not counted"
        );
        assert_eq!(admit(Some(limit(Some(1))), 3), Err(Refusal::ClientLimit));
        assert_eq!(admit(Some(limit(Some(2))), 4), Ok(()));
        assert_eq!(admit(Some(limit(None)), 5), Ok(()));
        admission.closed(&mut store, StreamId(4));
        admission.configure(Some(&limit(Some(2))));
        assert_eq!(admission.admit(&mut store, StreamId(6), ends, NOW), Ok(()));
    }
}
