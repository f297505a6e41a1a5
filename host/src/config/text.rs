//! Values that are written as JSON strings: each refuses what is impossible while
//! it is read, and names what was expected.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, json_schema};
use serde::de::{Deserializer, Error, Expected, Unexpected, Visitor};

/// A value written as a JSON string.
pub(super) trait Text: Sized {
    /// What one is, in the few words of a table, for editors and the reference.
    fn kind() -> Cow<'static, str>;
    /// What a right one looks like, with an example.
    fn expected(f: &mut fmt::Formatter) -> fmt::Result;
    /// `None`: not one.
    fn read(text: &str) -> Option<Self>;
    /// A regular expression that every right one matches, for editors.
    const PATTERN: &'static str;
    /// What else can be said of a text that is not one.
    fn hint(_text: &str) -> Option<&'static str> {
        None
    }
}

/// Reads any [`Text`].
pub(super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(TextVisitor(PhantomData))
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        T::expected(f)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let expected = Hinted::<T>(T::hint(text), PhantomData);
        T::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &expected))
    }
}

/// What was expected, and what else can be said.
struct Hinted<T>(Option<&'static str>, PhantomData<T>);

impl<T: Text> Expected for Hinted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::expected(f)?;
        self.0.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// The schema of any [`Text`].
pub(super) fn schema<T: Text>() -> Schema {
    json_schema!({ "type": "string", "title": T::kind(), "pattern": T::PATTERN })
}

/// What a field is that takes a path.
pub(super) const PATH: &str = "a path, from the configuration's folder";
/// What a field is that says how a certificate is verified.
pub(super) const VERIFY: &str = "`system`, `none`, or the path of a PEM file";

/// Makes types deserialize as the [`Text`] they are, and gives them its schema.
macro_rules! deserialize_as_text {
    ($($name:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::config::text::deserialize(deserializer)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::text::schema::<Self>()
            }
        }
    )*};
}

pub(super) use deserialize_as_text;
