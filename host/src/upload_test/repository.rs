//! The name of a repository.

use std::fmt;
use std::str::FromStr;

/// The name of a repository, such as `demo/probe`, as registries allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

/// It is not the name of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no name of a repository; give one without the registry and without a tag, of small letters, \
     digits, `.`, `_`, `-` and `/`, and at most {LONGEST} characters, such as demo/probe"
)]
pub struct NoRepository;

impl FromStr for Repository {
    type Err = NoRepository;

    fn from_str(name: &str) -> Result<Repository, NoRepository> {
        match name.len() <= LONGEST && name.split('/').all(is_component) {
            true => Ok(Repository(name.to_owned())),
            false => Err(NoRepository),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters and digits, and between them `.`, `_`, `__` or dashes.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_edge = |letter: Option<char>| letter.is_some_and(is_alphanumeric);
    let mut separators = component.split(is_alphanumeric);
    is_edge(component.chars().next())
        && is_edge(component.chars().last())
        && separators.all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.chars().all(|one| one == '-')
        })
}

/// In characters; so says the specification of distribution.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_registries_allow() {
        let long = "a/".repeat(127) + "a";
        for name in ["a", "demo/probe", "a.b_c__d--e/f1", &long] {
            let read: Result<Repository, _> = name.parse();
            assert_eq!(read.map(|it| it.to_string()), Ok(name.to_owned()));
        }
        let longer = long.clone() + "b";
        let wrong = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a.-b",
            "a:1",
            "ä",
            "a?b",
            "a%2fb",
            "../a",
            "dtr.example.com:443/a",
            &longer,
        ];
        for name in wrong {
            assert_eq!(name.parse::<Repository>(), Err(NoRepository), "{name}");
        }
    }
}
