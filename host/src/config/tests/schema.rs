use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};

use super::*;

/// Whether a value fits a schema, as far as ours go; an unknown word is a panic.
struct Validator {
    root: Value,
}

impl Validator {
    fn new() -> Validator {
        Validator {
            root: json_schema(),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.fits(&self.root, value)
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let words = match schema {
            Value::Bool(any) => return *any,
            Value::Object(words) => words,
            _ => panic!("no schema: {schema}"),
        };
        if let Some(condition) = words.get("if") {
            let branch = match self.fits(condition, value) {
                true => "then",
                false => "else",
            };
            if !self.fits(&words[branch], value) {
                return false;
            }
        }
        words
            .iter()
            .all(|(word, rule)| self.obeys(word, rule, schema, value))
    }

    fn obeys(&self, word: &str, rule: &Value, schema: &Value, value: &Value) -> bool {
        let all = |fits: &dyn Fn(&Value) -> bool| rule.as_array().unwrap().iter().all(fits);
        let any = |fits: &dyn Fn(&Value) -> bool| rule.as_array().unwrap().iter().any(fits);
        let text_of = |value: &Value| value.as_str().unwrap().to_owned();
        match word {
            "$schema" | "title" | "description" | "default" | "format" | "definitions" | "if"
            | "then" | "else" => true,
            "$ref" => {
                let name = text_of(rule);
                let name = name.strip_prefix("#/definitions/").unwrap();
                self.fits(&self.root["definitions"][name], value)
            }
            "not" => !self.fits(rule, value),
            "allOf" => all(&|one| self.fits(one, value)),
            "anyOf" => any(&|one| self.fits(one, value)),
            "oneOf" => {
                let one_of = rule.as_array().unwrap().iter();
                one_of.filter(|one| self.fits(one, value)).count() == 1
            }
            "const" => value == rule,
            "enum" => any(&|one| one == value),
            "type" => match rule {
                Value::Array(_) => any(&|one| is_of(&text_of(one), value)),
                _ => is_of(&text_of(rule), value),
            },
            "minimum" => value.as_f64().is_none_or(|it| it >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
            "pattern" => {
                let pattern = Regex::new(&text_of(rule)).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minItems" | "maxItems" => {
                let count = value.as_array().map(|items| items.len() as u64);
                let limit = rule.as_u64().unwrap();
                count.is_none_or(|count| match word {
                    "minItems" => count >= limit,
                    _ => count <= limit,
                })
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.all(|item| self.fits(rule, item))
            }
            "required" => {
                let fields = value.as_object();
                fields.is_none_or(|fields| all(&|name| fields.contains_key(&text_of(name))))
            }
            "properties" => {
                let mut fields = value.as_object().into_iter().flatten();
                fields.all(|(name, it)| rule.get(name).is_none_or(|rule| self.fits(rule, it)))
            }
            "propertyNames" => {
                let mut names = value
                    .as_object()
                    .into_iter()
                    .flat_map(|fields| fields.keys());
                names.all(|name| self.fits(rule, &json!(name)))
            }
            "additionalProperties" => {
                let known = |name: &str| {
                    let properties = schema.get("properties");
                    properties.is_some_and(|properties| properties.get(name).is_some())
                };
                let fields = value.as_object().into_iter().flatten();
                let mut others = fields.filter(|(name, _)| !known(name));
                others.all(|(_, it)| self.fits(rule, it))
            }
            other => panic!("the validator does not know {other:?}"),
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no type: {other}"),
    }
}

#[test]
fn the_schema_accepts_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let mut examples = vec![read("envoy/dtr-lb.json")];
    for page in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = page.unwrap().path();
        if path.extension().is_some_and(|it| it == "md") {
            let text = std::fs::read_to_string(path).unwrap();
            let blocks = text.split("```json").skip(1);
            examples.extend(blocks.map(|block| block.split("```").next().unwrap().to_owned()));
        }
    }
    let validator = Validator::new();
    for example in &examples {
        let value = serde_json::from_str(example).unwrap();
        assert!(validator.accepts(&value), "{example}");
    }
    assert!(examples.len() > 4, "{} examples", examples.len());
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let cases = [
        r#""$schema": "dtr-lb.schema.json""#,
        r#""idle_timeout": " 1h 30m ", "slow_start": "0", "drain_delay": "1.5s""#,
        r#""idle_timeout": null, "policy": null, "listeners": null"#,
        r#""policy": "source-hash", "when_all_down": "try-all", "on_down": "close""#,
        r#""health": {"target": "HTTPS:443/?a=b", "statuses": [200, "200-399", " 200 - 299"]}"#,
        r#""health": {"target": "tcp:443", "start": "down", "jitter": 0}"#,
        r#""health": {"body": {"pointer": "", "healthy": null}, "headers": {"X-A.b": ""}}"#,
        r#""admin": {"bind": "[fe80::1%2]:0", "token": "12345678"}"#,
        r#""listeners": [{"bind": "[::ffff:10.0.0.1]:443", "health": {"preset": "gitlab"}}]"#,
        r#""filters": []"#,
        r#""accept_proxy_from": ["10.0.0.0/8", "::1", "::ffff:10.0.0.0/104"]"#,
        r#""allow": ["::/0"], "deny": null, "per_client_max_connections": 5"#,
        r#""listeners": [{"bind": "0.0.0.0:443", "proxy_protocol": "v2"}]"#,
    ];
    let addresses = [
        "dtr-1.a_b.internal.",
        "2",
        "2a",
        "1.2.3.x",
        "::",
        "::1",
        "[::1]",
        "1.2.3.4",
    ];
    let validator = Validator::new();
    let files = cases.iter().map(|fields| with(fields));
    let replicas = addresses
        .iter()
        .map(|it| with_replicas(&format!(r#"[{{"address": "{it}"}}]"#)));
    let mut accepted = 0;
    for text in files.chain(replicas) {
        let value = serde_json::from_str(&text).unwrap();
        if let Ok(_file) = Config::parse(&text, "lb.json") {
            accepted += 1;
            assert!(validator.accepts(&value), "{text}");
        }
    }
    assert_eq!(
        accepted,
        cases.len() + addresses.len() - 2,
        "2 and :: are no addresses"
    );
}

const SERVICE: &str = r#"{"fqdn": "a.example", "replicas": [{"address": "10.0.0.1"}]}"#;

fn services(services: &str, more: &str) -> String {
    format!(r#"{{ "services": [{services}]{more} }}"#)
}

/// A file of one service with another field.
fn service(field: &str) -> String {
    let whole = SERVICE.strip_suffix('}').unwrap();
    services(&format!("{whole}, {field}}}"), "")
}

#[test]
fn the_schema_accepts_services() {
    let validator = Validator::new();
    let more = r#", "default": "quay", "hello_timeout": "5s", "listeners": null, "$schema": "x""#;
    let accepted = [
        services(SERVICE, ""),
        service(
            r#""name": "quay", "names": ["*.a.example", "b.example."], "policy": "round-robin""#,
        ),
        services(
            &format!(r#"{SERVICE}, {}"#, SERVICE.replace("a.example", "quay")),
            more,
        ),
    ];
    for text in accepted {
        let value = serde_json::from_str(&text).unwrap();
        assert!(validator.accepts(&value), "{text}");
        let read = ConfigFile::parse(&text, "lb.json");
        assert!(read.is_ok(), "{text}: {read:?}");
    }
}

#[test]
fn schema_and_reader_refuse_the_same_wrong_files() {
    let replica = |fields: &str| with_replicas(&format!("[{fields}]"));
    let chain = |clusters: &str, fields: &str| {
        format!(
            r#"{{ "listeners": [{{"bind": "0.0.0.0:443", "cluster": "web"}}], "clusters": {clusters}{fields} }}"#
        )
    };
    let cases = vec![
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{ "fqdn": "dtr.example.com" }"#.to_owned(),
        r#"{ "fqdn": "a b", "replicas": [{"address": "10.0.0.1"}] }"#.to_owned(),
        replica("5"),
        replica("{}"),
        replica(r#"["10.0.0.1"]"#),
        replica(r#"{"address": "10.0.0.1:443"}"#),
        replica(r#"{"address": "10.0.0.300"}"#),
        replica(r#"{"address": "10.0.0.1", "weight": 0}"#),
        replica(r#"{"address": "10.0.0.1", "weight": "2"}"#),
        replica(r#"{"address": "10.0.0.1", "weight": 1.5}"#),
        replica(r#"{"address": "10.0.0.1", "name": "a/b"}"#),
        replica(r#"{"address": "10.0.0.1", "name": ".."}"#),
        replica(r#"{"address": "10.0.0.1", "backup": "yes"}"#),
        replica(r#"{"address": "10.0.0.1", "ports": {"https": 8443}}"#),
        replica(r#"{"address": "10.0.0.1", "ports": {"443": 0}}"#),
        replica(r#"{"address": "10.0.0.1", "ports": [8443]}"#),
        with(r#""polcy": "round-robin""#),
        with(r#""policy": "fastest""#),
        with(r#""policy": 3"#),
        with(r#""on_down": "kill""#),
        with(r#""min_healthy": 0"#),
        with(r#""idle_timeout": 5"#),
        with(r#""idle_timeout": "5""#),
        with(r#""idle_timeout": "never""#),
        with(r#""listeners": {}"#),
        with(r#""listeners": [{}]"#),
        with(r#""listeners": [{"bind": "443"}]"#),
        with(r#""listeners": [{"bind": "localhost:443"}]"#),
        with(r#""listeners": [{"bind": "0.0.0.0:443", "health": {"interval": "2s"}}]"#),
        with(r#""health": {"preset": "nexsus"}"#),
        with(r#""health": {"target": "ftp:21/"}"#),
        with(r#""health": {"target": "tcp:443/x"}"#),
        with(r#""health": {"statuses": [99]}"#),
        with(r#""health": {"statuses": ["abc"]}"#),
        with(r#""health": {"jitter": 2}"#),
        with(r#""health": {"headers": {"a b": "c"}}"#),
        with(r#""health": {"body": {"pointer": "status", "healthy": 1}}"#),
        with(r#""health": {"body": {"pointer": "/status"}}"#),
        with(r#""admin": {"bind": "127.0.0.1:8181", "token": "short"}"#),
        with(r#""admin": "127.0.0.1:8181""#),
        with(r#""passive": {"fails": 1001}"#),
        with(r#""filters": [{"wasm": "a.wasm", "memory": "64MB"}]"#),
        with(r#""filters": [{"wasm": "a.wasm", "capabilities": ["proxy-log"]}]"#),
        with(r#""filters": [{"wasm": "a.wasm", "profile": "nginx"}]"#),
        with(r#""$schema": 5"#),
        with(r#""listeners": []"#),
        with(r#""allow": []"#),
        with(&format!(
            r#""deny": [{}]"#,
            ["\"10.0.0.1\""; 1001].join(",")
        )),
        with(&format!(
            r#""filters": [{}]"#,
            [r#"{"wasm": "x"}"#; 33].join(",")
        )),
        with(r#""health": {"statuses": []}"#),
        with_replicas("[]"),
        chain("{}", ""),
        chain(r#"[{"name": "web"}]"#, ""),
        chain(r#"[{"name": "web", "endpoints": []}]"#, ""),
        chain(r#"[{"name": "web", "endpoints": ["10.0.0.1"]}]"#, ""),
        chain(r#"[{"name": "we b", "endpoints": ["10.0.0.1:1"]}]"#, ""),
        chain(
            r#"[{"name": "web", "endpoints": ["10.0.0.1:1"], "protocol": "h2"}]"#,
            "",
        ),
        chain(
            r#"[{"name": "web", "endpoints": ["10.0.0.1:1"]}]"#,
            r#", "fqdn": "a""#,
        ),
        r#"{ "filters": [] }"#.to_owned(),
        r#"{ "services": 5 }"#.to_owned(),
        services("", ""),
        services("{}", ""),
        services(r#"{"fqdn": "a.example"}"#, ""),
        service(r#""names": "b.example""#),
        service(r#""names": ["*"]"#),
        service(r#""names": ["a.*.example"]"#),
        service(r#""name": "a/b""#),
        service(r#""listeners": []"#),
        service(r#""polcy": "round-robin""#),
        services(SERVICE, r#", "fqdn": "a.example""#),
        services(SERVICE, r#", "policy": "round-robin""#),
        services(SERVICE, r#", "hello_timeout": 5"#),
        services(SERVICE, r#", "listenrs": []"#),
    ];
    let validator = Validator::new();
    for text in cases {
        let value = serde_json::from_str(&text).unwrap();
        assert!(!validator.accepts(&value), "the schema accepts {text}");
        let read = ConfigFile::parse(&text, "lb.json");
        assert!(read.is_err(), "the reader accepts {text}");
    }
}

#[test]
fn every_field_is_described() {
    let schema = json_schema();
    let definitions = schema["definitions"].as_object().unwrap();
    assert!(definitions.len() > 10, "{} definitions", definitions.len());
    for (name, definition) in definitions {
        for (field, it) in definition["properties"].as_object().into_iter().flatten() {
            let text = it["description"].as_str().unwrap_or_default();
            assert!(text.len() > 9, "{name}.{field} has no description");
            assert!(!text.contains('\n'), "{name}.{field}: {text}");
        }
    }
}
