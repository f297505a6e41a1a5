//! How a registry wants to know who asks.

use dtr_lb_filter::compare::challenge::{Challenge, Origin};
use dtr_lb_filter::printable::printable;
use serde::Deserialize;

use super::client::{Client, Request};
use super::repository::Repository;
use crate::cluster_status::Credentials;

/// What a token service answers; older ones have the one field, newer ones the other.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The header `Authorization` with which this replica lets one push, as its challenge asks
/// for it. A token is asked of the replica itself: the password goes to no other host.
///
/// # Errors
/// Why there is none; never with the credentials.
pub(super) async fn authorization(
    client: &Client<'_>,
    challenge: &str,
    (repository, credentials): (&Repository, Option<&Credentials>),
) -> Result<String, String> {
    let challenge = Challenge::read(challenge);
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        let credentials = credentials.ok_or(NO_LOGIN)?;
        return Ok(credentials.authorization().to_owned());
    }
    if !challenge.scheme.eq_ignore_ascii_case("bearer") {
        let scheme = printable(challenge.scheme);
        return Err(format!(
            "it asks for a login by \"{scheme}\", where registries know Basic and Bearer"
        ));
    }
    let credentials = credentials.ok_or(NO_LOGIN)?;
    let path = token_path(&challenge, client.fqdn, repository)?;
    let request = Request {
        method: "GET",
        path: &path,
        authorization: Some(credentials.authorization()),
    };
    let answer = client.send(request).await;
    let answer = answer.map_err(|why| format!("its token service: {why}"))?;
    match answer.status {
        200 => {}
        401 | 403 => {
            return Err(format!(
                "its token service answers {}: the user or the password is wrong",
                answer.in_short()
            ));
        }
        _ => return Err(format!("its token service answers {}", answer.in_short())),
    }
    let token: Result<TokenAnswer, _> = serde_json::from_slice(&answer.body);
    let token = token.ok().and_then(|it| it.token.or(it.access_token));
    let token = token.filter(|it| !it.is_empty() && it.chars().all(|one| one.is_ascii_graphic()));
    let token = token.ok_or("its token service answers without a token")?;
    Ok(format!("Bearer {token}"))
}

/// Where a token for pushing is had.
fn token_path(
    challenge: &Challenge<'_>,
    fqdn: &str,
    repository: &Repository,
) -> Result<String, String> {
    let no_url = || "it asks for a token and does not say where, or not as a URL".to_owned();
    let realm = challenge.realm.ok_or_else(no_url)?;
    let origin = Origin::of(realm).ok_or_else(no_url)?;
    if !origin.host.eq_ignore_ascii_case(fqdn) {
        return Err(format!(
            "its tokens are given by {}, and the password goes to {fqdn} alone; test with a user \
             and a registry whose tokens come from the registry itself",
            printable(origin.host)
        ));
    }
    let (_, rest) = realm.split_once("://").ok_or_else(no_url)?;
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parameters = form_urlencoded::Serializer::new(query.to_owned());
    if let Some(service) = challenge.service {
        parameters.append_pair("service", service);
    }
    parameters.append_pair("scope", &format!("repository:{repository}:pull,push"));
    Ok(format!("{path}?{}", parameters.finish()))
}

const NO_LOGIN: &str = "it asks for a login; give --user and --password-file";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn a_token_is_asked_of_the_registry_itself() {
        let scope = "scope=repository%3Ademo%2Fprobe%3Apull%2Cpush";
        let cases = [
            (
                r#"Bearer realm="https://dtr.example.com/auth/token",service="dtr.example.com""#,
                Ok(format!("/auth/token?service=dtr.example.com&{scope}")),
            ),
            (
                r#"Bearer realm="https://DTR.example.com:8443/t?a=b""#,
                Ok(format!("/t?a=b&{scope}")),
            ),
            (
                r#"Bearer realm="https://dtr.example.com""#,
                Ok(format!("/?{scope}")),
            ),
            (
                r#"Bearer realm="https://auth.example.com/token""#,
                Err("its tokens are given by auth.example.com, and"),
            ),
            (
                r#"Bearer realm="https://dtr.example.com@evil.example/token""#,
                Err("its tokens are given by dtr.example.com@evil.example, and"),
            ),
            (
                r#"Bearer realm="/token""#,
                Err("it asks for a token and does not say where"),
            ),
            ("Bearer", Err("it asks for a token and does not say where")),
        ];
        let repository = "demo/probe".parse().unwrap();
        for (challenge, expected) in cases {
            let path = token_path(&Challenge::read(challenge), "dtr.example.com", &repository);
            match (&path, &expected) {
                (Err(refused), Err(begin)) => assert!(refused.starts_with(begin), "{refused}"),
                (path, expected) => assert_eq!(path.as_ref().ok(), expected.as_ref().ok()),
            }
        }
    }
}
