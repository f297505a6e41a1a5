//! Reads any type from a [`Node`], and says in parts what is wrong.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::node::{Json, Node};

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is not what was expected.
    Invalid { expected: String },
    /// Not among the fields of its object.
    UnknownField {
        field: String,
        known: &'static [&'static str],
    },
    /// Not among the words of its field.
    UnknownVariant {
        variant: String,
        known: &'static [&'static str],
    },
    /// The object lacks this field.
    Missing(&'static str),
    /// The object has this field twice.
    Duplicate(String),
    /// Anything else.
    Other(String),
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadError::Other(message.to_string())
    }

    fn invalid_type(_: Unexpected, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        ReadError::Invalid { expected }
    }

    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let field = field.to_owned();
        ReadError::UnknownField { field, known }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let variant = variant.to_owned();
        ReadError::UnknownVariant { variant, known }
    }

    fn missing_field(field: &'static str) -> Self {
        ReadError::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        ReadError::Duplicate(field.to_owned())
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Invalid { expected } => write!(f, "expected {expected}"),
            ReadError::UnknownField { field, .. } => write!(f, "unknown field {field:?}"),
            ReadError::UnknownVariant { variant, .. } => write!(f, "unknown word {variant:?}"),
            ReadError::Missing(field) => write!(f, "{field} is missing"),
            ReadError::Duplicate(field) => write!(f, "{field:?} is given twice"),
            ReadError::Other(message) => f.write_str(message),
        }
    }
}

impl<'de> IntoDeserializer<'de, ReadError> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::List(items) => SeqDeserializer::new(items.iter()).deserialize_any(visitor),
            Json::Object(_) => {
                let fields = self.kept().map(|entry| (entry.name.as_str(), &entry.value));
                MapDeserializer::new(fields).deserialize_any(visitor)
            }
            Json::Scalar(Value::Bool(value)) => visitor.visit_bool(*value),
            Json::Scalar(Value::String(text)) => visitor.visit_borrowed_str(text),
            Json::Scalar(Value::Number(number)) => {
                match (number.as_u64(), number.as_i64(), number.as_f64()) {
                    (Some(number), _, _) => visitor.visit_u64(number),
                    (None, Some(number), _) => visitor.visit_i64(number),
                    (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::MAX)),
                }
            }
            Json::Scalar(_) => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::Scalar(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    /// Never from a list, which serde's derived visitors take field by field.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::Object(_) => self.deserialize_any(visitor),
            _ => Err(de::Error::invalid_type(
                Unexpected::Other("no object"),
                &visitor,
            )),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.json {
            Json::Scalar(Value::String(text)) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            _ => Err(de::Error::invalid_type(
                Unexpected::Other("no string"),
                &"a string in quotes",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
        byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}
