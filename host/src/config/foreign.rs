//! Other load balancers' configurations, recognised by what they look like.

use std::fmt;

use serde_json::Value;

/// Whose configuration a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// NGINX, with `events`, `stream`, `http`, `upstream` or `server` blocks.
    Nginx,
    /// HAProxy, with its sections.
    Haproxy,
    /// The classic load balancer of AWS: the answer of `describe-load-balancers`, one
    /// of its elements, or a CloudFormation template in JSON or YAML.
    AwsElb,
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignFormat::Nginx => "an NGINX configuration",
            ForeignFormat::Haproxy => "an HAProxy configuration",
            ForeignFormat::AwsElb => "the description of an AWS ELB",
        })
    }
}

/// The error for a file that was given to dtr-lb as it is.
pub(super) fn problem(format: ForeignFormat) -> String {
    format!("this looks like {format}; `dtr-lb import FILE` makes a configuration of it")
}

/// Whose configuration this is, by a look at it; whether it is right
/// is another question. `None`: none that is known.
pub(crate) fn looks_like(text: &str) -> Option<ForeignFormat> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        let value = serde_json::from_str(text).ok()?;
        return is_elb_json(&value).then_some(ForeignFormat::AwsElb);
    }
    let mut lines = text.lines().map(without_comment);
    if lines.clone().any(is_elb_resource_in_yaml) {
        return Some(ForeignFormat::AwsElb);
    }
    if has_nginx_block(text) {
        return Some(ForeignFormat::Nginx);
    }
    lines
        .any(is_haproxy_section)
        .then_some(ForeignFormat::Haproxy)
}

fn is_elb_json(value: &Value) -> bool {
    let resources = value.get("Resources").and_then(Value::as_object);
    match value {
        // What `--query LoadBalancerDescriptions` leaves.
        Value::Array(elements) => elements
            .first()
            .is_some_and(|one| one.get("ListenerDescriptions").is_some()),
        _ => {
            ["LoadBalancerDescriptions", "ListenerDescriptions"]
                .iter()
                .any(|field| value.get(field).is_some())
                || is_elb_resource(value)
                || resources.is_some_and(|resources| resources.values().any(is_elb_resource))
        }
    }
}

fn is_elb_resource(value: &Value) -> bool {
    value.get("Type").and_then(Value::as_str) == Some(ELB_RESOURCE)
}

/// `Type: AWS::ElasticLoadBalancing::LoadBalancer`, with or without quotes.
fn is_elb_resource_in_yaml(line: &str) -> bool {
    let value = line.trim().strip_prefix("Type:").map(str::trim);
    value.is_some_and(|value| value.trim_matches(['"', '\'']) == ELB_RESOURCE)
}

/// Whether a block stands where a directive may begin.
fn has_nginx_block(text: &str) -> bool {
    let spaced: String = text
        .lines()
        .map(without_comment)
        .flat_map(|line| [line, "\n"])
        .collect::<String>()
        .replace('{', " { ")
        .replace('}', " } ")
        .replace(';', " ; ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let begins = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        before.is_none_or(|before| ["{", "}", ";"].contains(before))
    };
    words.iter().enumerate().any(|(at, word)| {
        // In a template `{{` and `{%` begin no block.
        let opens = |after: usize| {
            let inside = words.get(at + after + 1).copied().unwrap_or_default();
            words.get(at + after) == Some(&"{") && inside != "{" && !inside.starts_with('%')
        };
        let block = match *word {
            "events" | "stream" | "http" | "server" => opens(1),
            "upstream" => opens(2),
            _ => false,
        };
        block && begins(at)
    })
}

/// `global`, `defaults` with or without a name, or another section's word and name.
fn is_haproxy_section(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (word, name, more) = (words.next(), words.next(), words.next());
    match word {
        Some("global") => name.is_none(),
        Some("defaults") => name.is_none() || more.is_none_or(|more| more == "from"),
        Some("frontend" | "backend" | "listen") => {
            let is_name = |name: &str| !name.ends_with(';');
            name.is_some_and(is_name) && more.is_none_or(|more| more == "from")
        }
        _ => false,
    }
}

fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(line, _)| line)
}

const ELB_RESOURCE: &str = "AWS::ElasticLoadBalancing::LoadBalancer";

#[cfg(test)]
mod tests {
    use super::ForeignFormat::{AwsElb, Haproxy, Nginx};
    use super::*;

    #[test]
    fn other_balancers_files_are_recognised() {
        let cases = [
            ("stream {\n  server { listen 443; }\n}", Some(Nginx)),
            ("user www;\nevents {}\nhttp\n{\n}", Some(Nginx)),
            (
                "# dtr\nupstream dtr_443{ server 10.0.0.1:443; }",
                Some(Nginx),
            ),
            ("server {\n  listen 80;\n}", Some(Nginx)),
            ("events {}\ninclude streams.d/*.conf;", Some(Nginx)),
            ("# stream {\n", None),
            ("global\n    log /dev/log local0\n", Some(Haproxy)),
            ("defaults\n  mode tcp\n", Some(Haproxy)),
            ("\n  defaults unnamed from base\n", Some(Haproxy)),
            (
                "frontend dtr # all\n  bind :443\n  use_backend x if { ssl_fc }\n",
                Some(Haproxy),
            ),
            (
                "backend dtr\n  server a 10.0.0.1:443 check\n",
                Some(Haproxy),
            ),
            ("listen dtr from base\n", Some(Haproxy)),
            ("listen 443;", None),
            ("backend: dtr", None),
            ("listen to what they say", None),
            (
                "backend dtr\n{% for h in dtr %}\n  server {{ h }} {{ h.ip }}:443\n{% endfor %}",
                Some(Haproxy),
            ),
            ("stream {\n  server { listen {{ port }}; }\n}", Some(Nginx)),
            (r#"{ "LoadBalancerDescriptions": [] }"#, Some(AwsElb)),
            (
                r#"{ "LoadBalancerName": "dtr", "ListenerDescriptions": [] }"#,
                Some(AwsElb),
            ),
            (r#"[{ "ListenerDescriptions": [] }]"#, Some(AwsElb)),
            (
                r#"{ "Resources": { "Dtr": { "Type": "AWS::ElasticLoadBalancing::LoadBalancer" } } }"#,
                Some(AwsElb),
            ),
            (
                r#"{ "Type": "AWS::ElasticLoadBalancing::LoadBalancer" }"#,
                Some(AwsElb),
            ),
            (
                r#"{ "Resources": { "Dtr": { "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer" } } }"#,
                None,
            ),
            (
                "Resources:\n  Dtr:\n    Type: 'AWS::ElasticLoadBalancing::LoadBalancer'\n",
                Some(AwsElb),
            ),
            (
                "Resources:\n  Dtr:\n    Type: AWS::ElasticLoadBalancingV2::LoadBalancer\n",
                None,
            ),
            (r#"{ "fqdn": "dtr.example.com", "listeners": [] }"#, None),
            ("fqdn: dtr.example.com\nreplicas:\n- address: a\n", None),
            ("{", None),
            ("[]", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(looks_like(text), expected, "{text}");
            let marked = format!("\u{feff}{text}");
            assert_eq!(
                looks_like(&marked),
                expected,
                "{text} with a byte order mark"
            );
        }
    }
}
