//! Names that clients ask for, in TLS or in `Host`.

use std::collections::BTreeMap;

/// What names stand for; `*.example.com` is every name that ends so, of however many
/// labels. A name itself comes before a wildcard, and a longer wildcard before a shorter.
/// Upper and lower case are the same, with or without a dot at the end.
///
/// ```
/// use dtr_lb_filter::contract::ServerNames;
///
/// let names = ServerNames::new([("dtr.example.com", 1), ("*.example.com", 2)]);
/// assert_eq!(names.find("DTR.example.com"), Some(&1));
/// assert_eq!(names.find("a.b.example.com"), Some(&2));
/// assert_eq!(names.find("example.com"), None, "a wildcard is not its own parent");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerNames<T> {
    /// Wildcards begin with a dot.
    known: BTreeMap<String, T>,
}

impl<T> ServerNames<T> {
    /// Of names and what each stands for. One that is given twice stands for the last.
    pub fn new<'a>(names: impl IntoIterator<Item = (&'a str, T)>) -> ServerNames<T> {
        let mut known = BTreeMap::new();
        for (name, stands_for) in names {
            let mut name = normalized(name);
            if name.starts_with('*') {
                name.remove(0);
            }
            known.insert(name, stands_for);
        }
        ServerNames { known }
    }

    /// What a name stands for.
    pub fn find(&self, name: &str) -> Option<&T> {
        // No name begins as a wildcard is kept, nor is any longer.
        if name.starts_with('.') || name.len() > LONGEST {
            return None;
        }
        let name = normalized(name);
        let suffixes = name.match_indices('.').map(|(dot, _)| dot);
        let suffixes = suffixes.filter_map(|dot| name.get(dot..));
        std::iter::once(name.as_str())
            .chain(suffixes)
            .find_map(|one| self.known.get(one))
    }
}

impl<T> Default for ServerNames<T> {
    fn default() -> ServerNames<T> {
        ServerNames {
            known: BTreeMap::new(),
        }
    }
}

/// Of a DNS name with a dot at its end, in bytes.
const LONGEST: usize = 254;

/// A name as it is compared: in lower case, without the dot that it may end in.
#[must_use]
pub fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_name_counts() {
        let names = ServerNames::new([
            ("dtr.example.com", "dtr"),
            ("*.example.com", "any"),
            ("*.quay.example.com", "quay"),
            ("Harbor.example.org.", "harbor"),
        ]);
        let cases = [
            ("dtr.example.com", Some("dtr")),
            ("DTR.Example.COM.", Some("dtr")),
            ("x.dtr.example.com", Some("any")),
            ("quay.example.com", Some("any")),
            ("a.quay.example.com", Some("quay")),
            ("a.b.quay.example.com", Some("quay")),
            ("harbor.example.org", Some("harbor")),
            ("example.com", None),
            (".example.com", None),
            ("", None),
            (".", None),
            ("notexample.com", None),
        ];
        let long = format!("{}.example.com", "a.".repeat(9000));
        assert_eq!(names.find(&long), None, "longer than any name");
        for (name, expected) in cases {
            assert_eq!(names.find(name).copied(), expected, "{name:?}");
        }
    }
}
