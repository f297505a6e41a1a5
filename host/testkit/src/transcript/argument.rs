//! An argument or result of a host function, as text.

use std::fmt;

/// One argument or result, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What it is called, such as `cluster`; may be empty.
    pub name: &'static str,
    /// Text as it is, bytes in `\x` escapes, long ones whole.
    pub value: String,
    quoted: bool,
}

impl Argument {
    pub(crate) fn new(name: &'static str, value: String) -> Argument {
        Argument {
            name,
            value,
            quoted: false,
        }
    }

    pub(crate) fn bytes(name: &'static str, bytes: Option<&[u8]>) -> Argument {
        let Some(bytes) = bytes else {
            return Argument::new(name, "outside of memory".to_owned());
        };
        let value = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.escape_ascii().to_string(),
        };
        Argument {
            name,
            value,
            quoted: true,
        }
    }

    pub(crate) fn pairs(name: &'static str, bytes: Option<&[u8]>) -> Argument {
        let Some(bytes) = bytes else {
            return Argument::new(name, "outside of memory".to_owned());
        };
        let value = match pairs(bytes) {
            Some(pairs) => format!("[{}]", pairs.join(", ")),
            None => format!("not pairs: {}", bytes.escape_ascii()),
        };
        Argument::new(name, value)
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() && !self.quoted {
            write!(f, "{} ", self.name)?;
        }
        let cut = self.value.char_indices().nth(SHOWN);
        let shown = cut.map_or(&*self.value, |(end, _)| &self.value[..end]);
        if self.quoted {
            write!(f, "{shown:?}")?;
        } else {
            f.write_str(shown)?;
        }
        if cut.is_some() {
            write!(f, "… ({} bytes)", self.value.len())?;
        }
        Ok(())
    }
}

/// The pairs in their wire form: a count, all sizes, then names and values, each
/// closed by a zero byte.
fn pairs(bytes: &[u8]) -> Option<Vec<String>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let number = |at: usize| {
        let number = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(number.try_into().ok()?)).ok()
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut pairs = Vec::new();
    for index in 0..count {
        let mut text = |size: usize| {
            let end = at.checked_add(size)?;
            let text = String::from_utf8_lossy(bytes.get(at..end)?).into_owned();
            at = end.checked_add(1)?;
            Some(text)
        };
        let name = text(number(4 + index * 8)?)?;
        let value = text(number(8 + index * 8)?)?;
        pairs.push(format!("{name}: {value}"));
    }
    Some(pairs)
}

/// Characters shown of one argument.
const SHOWN: usize = 160;
