//! What a directive is about that has no part in balancing TCP, and why not.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::line::Line;
use crate::import::proxy_protocol;

/// A directive's name: its first word, and the second where that is part of it.
pub(super) fn key(line: &Line) -> String {
    let words = match line.text(0) {
        "no" | "default" => line.rest(1),
        _ => line.rest(0),
    };
    let mut words = words.iter().map(|word| word.text.as_str());
    let first = words.next().unwrap_or_default();
    match (first, words.next()) {
        (first, Some(second)) if GROUPS.contains(&first) => format!("{first} {second}"),
        _ => first.to_owned(),
    }
}

/// Why a line is not taken over; `None`: it is unknown.
pub(super) fn reason_of(line: &Line) -> Option<&'static str> {
    let key = key(line);
    let of_key = reason(&key);
    if of_key != Some(RULES) {
        return of_key;
    }
    // What a rule looks at says what stands for it.
    let mut known = LOOKED_AT.iter();
    let has = |names: &str| {
        let has = |name: &str| line.words.iter().any(|word| word.text.contains(name));
        names.split_ascii_whitespace().any(has)
    };
    let of_words = known.find(|(names, _)| has(names));
    of_words.map(|(_, reason)| *reason).or(of_key)
}

/// Why a directive is not taken over; `None`: it is unknown.
pub(super) fn reason(key: &str) -> Option<&'static str> {
    let group = key.split(' ').next().unwrap_or_default();
    let joined = key.replacen(' ', "/", 1);
    let of_name = KNOWN.get(joined.as_str()).or_else(|| KNOWN.get(group));
    let has_prefix = |(prefix, _): &&(&str, _)| key.starts_with(prefix);
    let of_prefix = PREFIXES.iter().find(has_prefix);
    of_name.copied().or(of_prefix.map(|(_, reason)| *reason))
}

/// Whether a word begins a directive.
pub(super) fn is_known(word: &str) -> bool {
    GROUPS.contains(&word) || reason(word).is_some()
}

/// The reasons by name.
static KNOWN: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let of_reason = |(names, reason): &(&'static str, &'static str)| {
        let names = names.split_ascii_whitespace();
        names.map(|name| (name, *reason)).collect::<Vec<_>>()
    };
    REASONS.iter().flat_map(of_reason).collect()
});

/// First words whose second word says which directive it is.
const GROUPS: [&str; 10] = [
    "option",
    "timeout",
    "stats",
    "stick",
    "http-check",
    "tcp-check",
    "tcp-request",
    "tcp-response",
    "http-request",
    "http-response",
];

const HTTP: &str = "HTTP only, ignored in mode tcp";
const LOG: &str = "each connection has a line in the access log, on standard error or where --log-to \
                   says";
const PROCESS: &str = "has no part in balancing TCP: that is for the service manager";
const TLS: &str = "has no part in balancing TCP: TLS passes through";
const TUNING: &str = "has no part here: it tunes HAProxy";
const RULES: &str = "name clients' networks in \"allow\" and \"deny\"; other rules are for a firewall, \
                     or for a filter of your own (\"filters\")";
/// Parts of words in rules, and what stands for such a rule.
const LOOKED_AT: [(&str, &str); 4] = [
    (
        "src_conn_cur",
        "say in \"per_client_max_connections\" how many connections a client may have at once, over \
         all listeners",
    ),
    ("expect-proxy", proxy_protocol::READ),
    ("expect-netscaler-cip", proxy_protocol::NETSCALER),
    (
        "req_ssl_hello_type req.ssl_hello_type",
        "nothing is inspected: clients are given to replicas whether they speak TLS or not",
    ),
];
const VARIABLES: &str = "variables are not replaced; write their values where they are used";
const KEEPALIVE: &str = "TCP keepalive is on, both ways";
const EMAIL: &str = "no mail is sent; alert on /metrics or the log instead";

/// Names, a group's with a slash, and why.
const REASONS: [(&str, &str); 30] = [
    (
        "log log-tag log-format log-format-sd log-steps error-log-format log-send-hostname \
         unique-id-format unique-id-header option/tcplog option/dontlognull option/dontlog-normal \
         option/log-separate-errors option/logasap option/log-health-checks",
        LOG,
    ),
    (
        "option/httplog option/httpslog option/http-server-close option/httpclose option/forceclose \
         option/http-keep-alive option/http-tunnel option/http-pretend-keepalive option/forwardfor \
         option/forwarded option/originalto option/http-buffer-request option/http-ignore-probes \
         option/http-use-htx option/http-use-proxy-header option/http_proxy option/checkcache \
         option/http-no-delay option/accept-invalid-http-request option/accept-invalid-http-response \
         option/accept-unsafe-violations-in-http-request \
         option/accept-unsafe-violations-in-http-response option/h1-case-adjust-bogus-client \
         option/h1-case-adjust-bogus-server option/prefer-last-server \
         option/disable-h2-upgrade option/http-restrict-req-hdr-names \
         option/http-drop-request-trailers option/http-drop-response-trailers \
         timeout/http-request timeout/http-keep-alive timeout/tarpit http-request http-response \
         http-after-response http-error http-reuse http-send-name-header errorfile errorfiles errorloc \
         errorloc302 errorloc303 cookie appsession capture redirect block compression reqadd reqallow \
         reqdel reqdeny reqidel reqideny reqirep reqiallow reqipass reqpass reqrep reqtarpit reqitarpit \
         reqisetbe reqsetbe rspadd rspdel rspdeny rspidel rspideny rspirep rsprep monitor-uri url_param \
         max-keep-alive-queue use-fcgi-app declare force-be-switch",
        HTTP,
    ),
    (
        "daemon user group uid gid chroot pidfile nbproc nbthread nbtgroups cpu-map cpu-policy cpu-set \
         thread-group thread-groups thread-hard-limit bind-process node description \
         localpeer hard-stop-after close-spread-time grace ulimit-n fd-hard-limit external-check \
         insecure-fork-wanted insecure-setuid-wanted set-dumpable setcap master-worker mworker-max-reloads \
         quiet debug zero-warning expose-experimental-directives \
         expose-deprecated-directives strict-limits unix-bind wurfl-data-file 51degrees-data-file \
         deviceatlas-json-file prealloc-fd \
         stats/socket stats/timeout stats/maxconn stats/bind-process stats-file server-state-base \
         server-state-file load-server-state-from-file pp2-never-send-local \
         h1-case-adjust h1-case-adjust-file warn-blocked-traffic-after limited-quic default-path enabled id \
         guid option/external-check grpc numa-cpu-mapping anonkey cluster-secret \
         harden.reject-privileged-ports.tcp harden.reject-privileged-ports.quic shm-stats-file \
         shm-stats-file-max-objects key-base ocsp-update.disable ocsp-update.maxdelay ocsp-update.mindelay \
         dns-accept-family",
        PROCESS,
    ),
    (
        "crt-base ssl-default-bind-ciphers ssl-default-bind-ciphersuites \
         ssl-default-bind-curves ssl-default-bind-sigalgs ssl-default-bind-client-sigalgs \
         ssl-default-bind-options ssl-default-server-ciphers ssl-default-server-ciphersuites \
         ssl-default-server-curves ssl-default-server-sigalgs ssl-default-server-client-sigalgs \
         ssl-default-server-options ssl-dh-param-file ssl-engine ssl-load-extra-files \
         ssl-load-extra-del-ext ssl-mode-async ssl-propquery ssl-provider ssl-provider-path \
         ssl-skip-self-issued-ca ssl-security-level ca-sign-file ocsp-update issuers-chain-path \
         acme.scheduler ssl-passphrase-cmd ssl-f-use",
        TLS,
    ),
    (
        "maxconnrate maxpipes maxsessrate maxsslconn maxsslrate maxcomprate maxcompcpuusage maxzlibmem \
         spread-checks max-spread-checks noepoll nokqueue noevports nopoll nosplice nogetaddrinfo \
         noreuseport busy-polling profiling.tasks profiling.memory tune no-quic no-memory-trimming \
         option/splice-auto option/splice-request option/splice-response option/tcp-smart-accept \
         option/tcp-smart-connect option/contstats option/idle-close-on-response option/nolinger \
         option/independent-streams option/socket-stats backlog max-session-srv-conns \
         retry-on timeout/client-hs server-state-file-name",
        TUNING,
    ),
    (
        "option/abortonclose",
        "a connection whose client has gone is not kept waiting",
    ),
    (
        "rate-limit monitor-net",
        "not had: who connects how often is left to a firewall",
    ),
    (
        "fullconn minconn",
        "not had: a server's limit is \"max_connections\", and the same at any load",
    ),
    ("option/clitcpka option/srvtcpka option/tcpka", KEEPALIVE),
    (
        "clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl",
        KEEPALIVE,
    ),
    (
        "option/redispatch redispatch retries",
        "another replica is always tried at once when one can't be reached",
    ),
    (
        "option/persist option/allbackups persist ignore-persist force-persist",
        "not had: backups share connections only when no other replica is usable, and none goes to a \
         replica that is down",
    ),
    (
        "option/transparent transparent source usesrc",
        "not had: replicas see the balancer's address, and the client's in the PROXY protocol's header \
         (\"proxy_protocol\")",
    ),
    ("dispatch", "not had: name the server with a server line"),
    (
        "timeout/queue timeout/server-queue",
        "not had: a connection waits for no replica; when all are full it is closed",
    ),
    (
        "tcp-request/inspect-delay",
        "nothing is inspected, so nothing is waited for",
    ),
    ("tcp-request tcp-response acl filter filter-sequence", RULES),
    (
        "use_backend",
        "the rule is not one on a name, or its end, in the TLS handshake alone",
    ),
    (
        "use-server",
        "not had: which replica is chosen does not depend on the connection",
    ),
    ("stick-table stick", "not had: there are no stick tables"),
    ("email-alert", EMAIL),
    (
        "presetenv setenv unsetenv resetenv set-var set-var-fmt get-var",
        VARIABLES,
    ),
    (".notice .warning .alert .diag", "messages of HAProxy's own"),
    ("stats", "HTTP only: the page here is that of \"admin\""),
    (
        "option/tcp-check option/ssl-hello-chk option/mysql-check option/pgsql-check option/redis-check \
         option/ldap-check option/smtpchk option/spop-check option/httpchk",
        "no server here is probed that way",
    ),
    (
        "tcp-check http-check",
        "not had: a probe is one connection, or one request on it",
    ),
    ("disabled", "the section is out of use"),
    (
        "lua-load lua-load-per-thread lua-prepend-path",
        "not had: there is no Lua; filters are proxy-wasm modules (\"filters\")",
    ),
    (
        "ssl-server-verify ca-base maxconn mode balance hash-type hash-balance-factor hash-preserve-affinity \
         bind server default-server server-template default_backend timeout/client \
         timeout/server timeout/connect timeout/tunnel timeout/check timeout/client-fin \
         timeout/server-fin clitimeout srvtimeout contimeout",
        "nothing that is taken over uses it",
    ),
    ("option", "unknown here"),
];

const PREFIXES: [(&str, &str); 6] = [
    ("tune.", TUNING),
    (
        "lua",
        "not had: there is no Lua; filters are proxy-wasm modules (\"filters\")",
    ),
    ("httpclient.", HTTP),
    ("profiling.", TUNING),
    ("email-alert", EMAIL),
    ("51degrees", PROCESS),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_directive_has_one_reason() {
        let mut seen = BTreeSet::new();
        let names = REASONS.iter();
        let mut names = names.flat_map(|(names, _)| names.split_ascii_whitespace());
        let twice = names.find(|name| !seen.insert(*name));
        assert_eq!(twice, None);
    }

    #[test]
    fn the_nearest_name_gives_the_reason() {
        let cases = [
            ("option httplog", Some(HTTP)),
            ("option tcplog", Some(LOG)),
            ("http-request deny", Some(HTTP)),
            ("tcp-request content", Some(RULES)),
            ("tune.bufsize", Some(TUNING)),
            ("frobnicate", None),
        ];
        for (key, expected) in cases {
            assert_eq!(reason(key), expected, "{key}");
        }
    }
}
