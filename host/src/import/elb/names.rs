//! Fields of descriptions that no part of a configuration here stands for, and why.

/// Why a field is not taken over; `None`: it is not known.
pub(super) fn reason(field: &str) -> Option<&'static str> {
    let known = NOT_TAKEN.iter().find(|(fields, _)| fields.contains(&field));
    known.map(|(_, reason)| *reason)
}

const NOT_TAKEN: [(&[&str], &str); 4] = [
    (
        &[
            "AvailabilityZones",
            "CanonicalHostedZoneName",
            "CanonicalHostedZoneNameID",
            "CreatedTime",
            "Scheme",
            "SecurityGroups",
            "SourceSecurityGroup",
            "Subnets",
            "Tags",
            "VPCId",
        ],
        "it is about AWS's network, and has no part in balancing",
    ),
    (
        &["BackendServerDescriptions"],
        "a policy for the instances' ports is most often the PROXY protocol",
    ),
    (
        &["Policies"],
        "policies are about TLS and cookies, which pass through here, or the PROXY protocol \
         (ProxyProtocolPolicyType), which is \"proxy_protocol\": \"v1\" of the listeners",
    ),
    (
        &["AppCookieStickinessPolicy", "LBCookieStickinessPolicy"],
        "cookies are not seen here; \"policy\": \"source-hash\" keeps a client's address at one \
         replica",
    ),
];
