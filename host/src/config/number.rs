//! Numbers of the file: each refuses what is impossible while it is read, and names
//! what was expected.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoundedInt<const MIN: u64, const MAX: u64>(u64);

/// A TCP port.
pub(super) type Port = BoundedInt<1, 65535>;

/// Connections open at once.
pub(super) type MaxConnections = BoundedInt<1, 1_000_000>;

impl<const MIN: u64, const MAX: u64> BoundedInt<MIN, MAX> {
    /// The number, or the largest `u32` when it is larger.
    pub(super) fn u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }

    /// The number, or the largest `u16` when it is larger.
    pub(super) fn u16(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for BoundedInt<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Number<MIN, MAX> {
            type Value = BoundedInt<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}, without quotes")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                if (MIN..=MAX).contains(&number) {
                    Ok(BoundedInt(number))
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(number), &self))
                }
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for BoundedInt<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        "WholeNumber".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// An amount of memory within limits, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// In bytes.
    pub(super) fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Amount<MIN, MAX> {
            type Value = Size<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                let (least, most) = (MIN >> 10, MAX >> 30);
                write!(
                    f,
                    r#"a size in KiB, MiB or GiB, such as "64MiB", from {least}KiB to {most}GiB"#
                )
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                bytes_of(text)
                    .filter(|bytes| (MIN..=MAX).contains(bytes))
                    .map(Size)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Amount)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (least, most) = (MIN >> 10, MAX >> 30);
        json_schema!({
            "type": "string",
            "title": format!("a size, {least}KiB to {most}GiB"),
            "pattern": "^[0-9]+(KiB|MiB|GiB)$",
        })
    }
}

fn bytes_of(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = plain.then(|| number.parse().ok()).flatten()?;
    number.checked_mul(1 << shift)
}

/// One status, or an inclusive range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) u16, pub(super) u16);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Status;
        impl Visitor<'_> for Status {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    r#"a status from 100 to 599, such as 200, or a range, such as "200-399""#,
                )
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Statuses, E> {
                u16::try_from(number)
                    .ok()
                    .filter(|status| STATUSES.contains(status))
                    .map(|status| Statuses(status, status))
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Statuses, E> {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                match (first.trim().parse(), last.trim().parse()) {
                    (Ok(first), Ok(last))
                        if STATUSES.contains(&first)
                            && STATUSES.contains(&last)
                            && first <= last =>
                    {
                        Ok(Statuses(first, last))
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Status)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": r#"100 to 599, or a range such as `"200-399"`"#,
            "anyOf": [
                { "type": "integer", "minimum": STATUSES.start(), "maximum": STATUSES.end() },
                { "type": "string", "pattern": "^ *[1-5][0-9]{2} *(- *[1-5][0-9]{2} *)?$" },
            ]
        })
    }
}

/// A part of its interval: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;
        impl Visitor<'_> for Part {
            type Value = Fraction;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number from 0 to 1, such as 0.1, without quotes")
            }
            fn visit_f64<E: Error>(self, part: f64) -> Result<Fraction, E> {
                if (0.0..=1.0).contains(&part) {
                    Ok(Fraction(part))
                } else {
                    Err(E::invalid_value(Unexpected::Float(part), &self))
                }
            }
            fn visit_u64<E: Error>(self, whole: u64) -> Result<Fraction, E> {
                match whole {
                    0 => Ok(Fraction(0.0)),
                    1 => Ok(Fraction(1.0)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(whole), &self)),
                }
            }
        }
        deserializer.deserialize_any(Part)
    }
}

impl JsonSchema for Fraction {
    fn schema_name() -> Cow<'static, str> {
        "Fraction".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;
