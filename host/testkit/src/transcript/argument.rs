//! An argument or result of a host function, as text.

use std::fmt;

use proxy_wasm_engine::pairs;

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
        let value = match pairs::decode(bytes) {
            Some(headers) => {
                let headers = headers.iter();
                let pairs = headers
                    .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
                format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
            }
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

/// Characters shown of one argument.
const SHOWN: usize = 160;
