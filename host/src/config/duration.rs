//! Times with a unit and a lower bound.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::text::{self, Text};

/// A time of at least `MIN_MS`, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoundedDuration<const MIN_MS: u64>(Duration);

impl<const MIN_MS: u64> BoundedDuration<MIN_MS> {
    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN_MS: u64> Text for BoundedDuration<MIN_MS> {
    const PATTERN: &'static str = "^ *(0|[0-9][0-9A-Za-z. ]*[A-Za-z]) *$";

    fn kind() -> Cow<'static, str> {
        let least = self::text(Duration::from_millis(MIN_MS));
        format!("a time, {least} and up").into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"a time with its unit, such as "2s" or "500ms", "#)?;
        if MIN_MS > 0 {
            write!(f, "of at least {MIN_MS}ms, ")?;
        }
        f.write_str("in whole milliseconds, at most 365days")
    }

    fn read(text: &str) -> Option<Self> {
        let time = humantime::parse_duration(text).ok()?;
        let whole = time.subsec_nanos().is_multiple_of(1_000_000);
        let within = time >= Duration::from_millis(MIN_MS) && time <= LONGEST_TIME;
        (whole && within).then_some(Self(time))
    }
}

impl<'de, const MIN_MS: u64> Deserialize<'de> for BoundedDuration<MIN_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

impl<const MIN_MS: u64> JsonSchema for BoundedDuration<MIN_MS> {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text::schema::<Self>()
    }
}

/// A time as it is written in the file.
pub(super) fn text(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
