//! The keywords of a server, and why some are not taken over.

use std::sync::LazyLock;

use super::keyword::{self, Arities, Keyword};

/// Why a keyword is not taken over.
pub(super) fn reason(keyword: &Keyword<'_>) -> &'static str {
    let known = LEFT.iter().find(|(names, _)| {
        let mut names = names.split_ascii_whitespace();
        names.any(|known| known == keyword.name)
    });
    match known {
        Some((_, why)) => why,
        None if keyword.is_known => "no part here",
        None => "unknown here",
    }
}

/// What a keyword says more than what is taken over; `None`: nothing.
pub(super) fn reason_in_part(name: &str) -> Option<&'static str> {
    let sends_more = ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"].contains(&name);
    sends_more.then_some(SENDS_LESS)
}

const SENDS_LESS: &str =
    "the PROXY protocol's header says who the client is, and nothing of TLS, which passes through";

const LEFT: [(&str, &str); 12] = [
    (
        "proxy-v2-options set-proxy-v2-tlv-fmt",
        "not had: the PROXY protocol's header says who the client is, and no more",
    ),
    (
        "check-send-proxy no-check-send-proxy",
        "probes of a port whose replicas expect it begin with the PROXY protocol's header",
    ),
    (
        "cookie redir ws check-proto proto pool-low-conn pool-max-conn pool-purge-delay max-reuse \
         pool-conn-name check-pool-conn-name check-reuse-pool no-check-reuse-pool hash-key",
        "HTTP only, ignored in mode tcp",
    ),
    (
        "sni verifyhost check-sni",
        "probes ask for the registry's name (\"fqdn\"), in the TLS handshake too",
    ),
    (
        "observe error-limit on-error",
        "connect failures hold a replica back by themselves (\"passive\")",
    ),
    (
        "agent-check agent-addr agent-inter agent-port agent-send no-agent-check",
        "not had: no agent is asked",
    ),
    ("track", "not had: each replica is probed for itself"),
    (
        "resolvers",
        "the system's name servers are asked, and for names with \"discover\" those of \"nameservers\"",
    ),
    (
        "init-addr resolve-net resolve-opts resolve-prefer",
        "a name is resolved again every \"dns_refresh\"",
    ),
    (
        "source usesrc interface namespace socks4 check-via-socks4",
        "not had: connections leave from the system's own choice of address",
    ),
    (
        "minconn maxqueue strict-maxconn",
        "not had: a limit is the same at any load, and nothing waits for a replica",
    ),
    (
        "on-marked-up",
        "not had: connections of a backup go on when a replica comes back",
    ),
];

/// The keywords that there are.
pub(super) static KEYWORDS: LazyLock<Arities> = LazyLock::new(|| {
    keyword::arities(
        "agent-check allow-0rtt backup check check-reuse-pool check-sni-auto sni-auto check-send-proxy check-ssl check-via-socks4 \
         disabled enabled force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 ktls \
         no-agent-check no-backup no-check no-check-reuse-pool no-check-send-proxy no-check-ssl \
         no-renegotiate no-send-proxy no-send-proxy-v2 no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn \
         no-ssl no-ssl-reuse no-sslv3 no-tfo no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 \
         no-verifyhost non-stick renegotiate send-proxy send-proxy-v2 send-proxy-v2-ssl \
         send-proxy-v2-ssl-cn ssl ssl-reuse stick strict-maxconn tfo tls-tickets",
        "addr agent-addr agent-inter agent-port agent-send alpn ca-file cc check-alpn \
         check-pool-conn-name check-proto check-sni ciphers ciphersuites client-sigalgs \
         cookie crl-file crt curves downinter error-limit fall fastinter guid hash-key id idle-ping \
         init-addr init-state inter interface log-bufsize log-proto max-reuse maxconn maxqueue minconn \
         namespace npn observe on-error on-marked-down on-marked-up pool-conn-name pool-low-conn \
         pool-max-conn pool-purge-delay port proto proxy-v2-options redir resolve-net \
         resolve-opts resolve-prefer resolvers rise set-proxy-v2-tlv-fmt shard sigalgs slowstart sni \
         socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost weight ws",
    )
});
