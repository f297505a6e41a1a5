use super::*;

#[test]
fn wrong_rules_for_clients_are_refused_with_field_value_and_remedy() {
    let many = (0..=1000).map(|it| format!("\"10.0.{}.{}\"", it / 256, it % 256));
    let many: Vec<String> = many.collect();
    assert_refused(vec![
        (
            with(r#""deny": ["10.0.0.0/8", "everybody"]"#),
            r#"lb.json: deny[1] is "everybody"; expected a network or an address"#,
        ),
        (
            with(r#""allow": []"#),
            "lb.json: allow is []; no network; name one",
        ),
        (
            with(&format!(r#""deny": [{}]"#, many.join(", "))),
            r#"lb.json: deny is "a list of 1001"; each connection is compared with all of them; give at most 1000"#,
        ),
        (
            with(r#""per_client_max_connections": 0"#),
            "lb.json: per_client_max_connections is 0; expected a whole number from 1 to 1000000",
        ),
    ]);
}

#[test]
fn rules_for_clients_are_read_and_by_default_there_are_none() {
    let text = with(r#""allow": ["10.0.0.0/8", "::1"], "per_client_max_connections": 20"#);
    let config = Config::parse(&text, "lb.json").unwrap();
    assert!(config.allow.unwrap().contain([10, 9, 9, 9].into()));
    assert_eq!(
        (config.deny, config.per_client_max_connections),
        (None, Some(20))
    );
    let nothing = Config::parse(&with(r#""watch": false"#), "lb.json").unwrap();
    assert_eq!(
        (nothing.allow, nothing.per_client_max_connections),
        (None, None)
    );
}
