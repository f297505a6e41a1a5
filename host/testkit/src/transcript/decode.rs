//! Reads the raw arguments and results of host functions, by name.

use proxy_wasm_engine::Hostcall;

use crate::transcript::Argument;
use crate::transcript::parameters::Parameter::{
    Bytes, Long, Named, Number, OutBytes, OutLong, OutNumber, OutPairs, Pairs, Path, Signed, Text,
};
use crate::transcript::parameters::{Side, parameters};

/// The arguments of a host function as the guest gave them.
pub(crate) fn arguments(call: &Hostcall<'_>) -> Vec<Argument> {
    read(call, Side::Input)
}

/// What the host function wrote for the guest; meaningful after success only.
pub(crate) fn results(call: &Hostcall<'_>) -> Vec<Argument> {
    read(call, Side::Output)
}

fn read(call: &Hostcall<'_>, side: Side) -> Vec<Argument> {
    let input = side == Side::Input;
    if call.name == "fd_write" {
        return if input { written(call) } else { Vec::new() };
    }
    let mut raw = call.arguments.iter().copied();
    let Some(parameters) = parameters(call.name) else {
        let numbers = raw.filter(|_| input);
        return numbers
            .map(|number| Argument::new("", number.to_string()))
            .collect();
    };
    let mut next = || raw.next().unwrap_or_default();
    let mut arguments = Vec::new();
    for parameter in parameters {
        let argument = match *parameter {
            Number(name) => Argument::new(name, next().to_string()),
            Signed(name) => {
                let number = u32::try_from(next()).unwrap_or_default();
                Argument::new(name, number.cast_signed().to_string())
            }
            Long(name) => Argument::new(name, next().cast_signed().to_string()),
            Named(name, names) => {
                let value = next();
                let text = usize::try_from(value)
                    .ok()
                    .and_then(|index| names.get(index));
                let text = text.map_or_else(|| format!("unknown ({value})"), |t| (*t).to_owned());
                Argument::new(name, text)
            }
            Text(name) | Bytes(name) => Argument::bytes(name, slice(call.memory, next(), next())),
            Path => {
                let path = slice(call.memory, next(), next()).map(|path| {
                    let path = path.strip_suffix(&[0]).unwrap_or(path);
                    String::from_utf8_lossy(path).replace('\0', ".")
                });
                Argument::bytes("path", path.as_ref().map(String::as_bytes))
            }
            Pairs(name) => Argument::pairs(name, slice(call.memory, next(), next())),
            OutNumber(name) => Argument::new(name, number(call.memory, next(), 4).to_string()),
            OutLong(name) => Argument::new(name, number(call.memory, next(), 8).to_string()),
            OutBytes | OutPairs => {
                let (at, length) = (next(), next());
                // No pointers: the guest does not want the value.
                if at == 0 || length == 0 {
                    continue;
                }
                let (at, length) = (number(call.memory, at, 4), number(call.memory, length, 4));
                let bytes = slice(call.memory, at, length);
                match parameter {
                    OutPairs => Argument::pairs("", bytes),
                    _ => Argument::bytes("", bytes),
                }
            }
        };
        if parameter.side() == side {
            arguments.push(argument);
        }
    }
    arguments
}

/// What `fd_write` of WASI writes: its vectors, joined.
fn written(call: &Hostcall<'_>) -> Vec<Argument> {
    let argument = |index: usize| call.arguments.get(index).copied().unwrap_or_default();
    let level = if argument(0) == 2 { "error" } else { "info" };
    let mut bytes = Vec::new();
    for index in 0..argument(2).min(1024) {
        let at = argument(1).saturating_add(index.saturating_mul(8));
        let (start, length) = (
            number(call.memory, at, 4),
            number(call.memory, at.saturating_add(4), 4),
        );
        bytes.extend_from_slice(slice(call.memory, start, length).unwrap_or_default());
    }
    vec![
        Argument::new("level", level.to_owned()),
        Argument::bytes("message", Some(&bytes)),
    ]
}

fn slice(memory: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    memory.get(at..end)
}

fn number(memory: &[u8], at: u64, width: u64) -> u64 {
    let mut number = [0; 8];
    if let Some(bytes) = slice(memory, at, width) {
        number[..bytes.len()].copy_from_slice(bytes);
    }
    u64::from_le_bytes(number)
}
