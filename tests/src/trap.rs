//! The filter with a trap built in, to see what a dying VM costs.

/// A parameter of a callback, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Arg(pub u8);

/// The same module, with one more function around one callback: it traps when
/// the argument has this value, and otherwise does what the callback did.
///
/// So the product holds no trap for a test, and both proxies run the real filter.
///
/// # Panics
/// When the module has no such callback.
pub fn trap_when(module: &[u8], callback: &str, arg: Arg, value: i32) -> Vec<u8> {
    let sections = sections(module);
    let content = |wanted: u8| {
        let found = sections.iter().find(|section| section.id == wanted);
        found
            .unwrap_or_else(|| panic!("the module has no section {wanted}"))
            .content
    };
    let imported = imported_functions(content(IMPORT));
    let types = numbers(content(FUNCTION));
    let wrapped = exported_function(content(EXPORT), callback);
    let own_type = types[(wrapped - imported) as usize];
    let parameters = parameters_of(content(TYPE), own_type);
    let wrapper = imported + types.len() as u32;

    let mut out = module[..HEADER].to_vec();
    for section in &sections {
        let content = match section.id {
            FUNCTION => appended(section.content, &unsigned(own_type)),
            EXPORT => with_export(section.content, callback, wrapper),
            CODE => appended(section.content, &body(wrapped, parameters, arg, value)),
            _ => section.content.to_vec(),
        };
        out.push(section.id);
        out.extend(unsigned(content.len() as u32));
        out.extend(content);
    }
    out
}

struct Section<'a> {
    id: u8,
    content: &'a [u8],
}

fn sections(module: &[u8]) -> Vec<Section<'_>> {
    let mut reader = Reader(&module[HEADER..]);
    let mut sections = Vec::new();
    while !reader.0.is_empty() {
        let id = reader.byte();
        let content = reader.sized();
        sections.push(Section { id, content });
    }
    sections
}

fn imported_functions(content: &[u8]) -> u32 {
    let mut reader = Reader(content);
    let mut functions = 0;
    for _ in 0..reader.number() {
        reader.sized();
        reader.sized();
        assert_eq!(reader.byte(), 0, "the filter imports functions only");
        reader.number();
        functions += 1;
    }
    functions
}

fn numbers(content: &[u8]) -> Vec<u32> {
    let mut reader = Reader(content);
    (0..reader.number()).map(|_| reader.number()).collect()
}

fn exported_function(content: &[u8], name: &str) -> u32 {
    let mut reader = Reader(content);
    for _ in 0..reader.number() {
        let (export, kind, index) = (reader.sized(), reader.byte(), reader.number());
        if export == name.as_bytes() && kind == 0 {
            return index;
        }
    }
    panic!("the filter exports no {name}")
}

/// How many parameters a function type has.
fn parameters_of(content: &[u8], wanted: u32) -> u8 {
    let mut reader = Reader(content);
    reader.number();
    for index in 0.. {
        assert_eq!(reader.byte(), 0x60, "the filter's types are functions only");
        let parameters = reader.sized().len();
        reader.sized();
        if index == wanted {
            return u8::try_from(parameters).unwrap();
        }
    }
    unreachable!("the loop has no end")
}

/// A vector with one more element.
fn appended(content: &[u8], element: &[u8]) -> Vec<u8> {
    let mut reader = Reader(content);
    let count = reader.number();
    [&unsigned(count + 1), reader.0, element].concat()
}

fn with_export(content: &[u8], name: &str, function: u32) -> Vec<u8> {
    let mut reader = Reader(content);
    let count = reader.number();
    let mut out = unsigned(count);
    for _ in 0..count {
        let (export, kind, mut index) = (reader.sized(), reader.byte(), reader.number());
        if export == name.as_bytes() && kind == 0 {
            index = function;
        }
        out.extend(unsigned(export.len() as u32));
        out.extend(export);
        out.push(kind);
        out.extend(unsigned(index));
    }
    out
}

/// `if arg == value { unreachable } else { wrapped(every parameter) }`
fn body(wrapped: u32, parameters: u8, arg: Arg, value: i32) -> Vec<u8> {
    let mut code = vec![0, LOCAL_GET, arg.0, I32_CONST];
    code.extend(signed(value));
    // if without a result, unreachable, end
    code.extend([I32_EQ, 0x04, 0x40, 0x00, 0x0b]);
    for parameter in 0..parameters {
        code.extend([LOCAL_GET, parameter]);
    }
    // call, end
    code.push(0x10);
    code.extend(unsigned(wrapped));
    code.push(0x0b);
    [unsigned(code.len() as u32), code].concat()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap();
        self.0 = rest;
        *byte
    }

    fn number(&mut self) -> u32 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn sized(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        let (sized, rest) = self.0.split_at(length);
        self.0 = rest;
        sized
    }
}

fn unsigned(mut number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn signed(mut number: i32) -> Vec<u8> {
    let mut out = Vec::new();
    while !(-0x40..0x40).contains(&number) {
        out.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    out.push(number as u8 & 0x7f);
    out
}

/// Magic number and version.
const HEADER: usize = 8;
const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const EXPORT: u8 = 7;
const CODE: u8 = 10;

// Instructions.
const LOCAL_GET: u8 = 0x20;
const I32_CONST: u8 = 0x41;
const I32_EQ: u8 = 0x46;

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Func, Instance, Module, Store};

    use super::{Arg, trap_when};

    #[test]
    fn the_trap_springs_at_its_value_only() {
        let module = r#"(module
            (import "env" "host" (func (param i64)))
            (func (export "other") (param i32) (result i32) local.get 0)
            (func (export "sum") (param i32 i32) (result i32)
                local.get 0 local.get 1 i32.add))"#;
        let engine = Engine::default();
        let bytes = wat::parse_str(module).unwrap();
        let module = Module::new(&engine, trap_when(&bytes, "sum", Arg(1), 4242)).unwrap();
        let mut store = Store::new(&engine, ());
        let host = Func::wrap(&mut store, |_: i64| ());
        let instance = Instance::new(&mut store, &module, &[host.into()]).unwrap();
        let sum = instance
            .get_typed_func::<(i32, i32), i32>(&mut store, "sum")
            .unwrap();

        for fine in [(4242, 1), (1, 4241), (1, -4242), (0, 0)] {
            assert_eq!(sum.call(&mut store, fine).unwrap(), fine.0 + fine.1);
        }
        assert!(
            sum.call(&mut store, (1, 4242)).is_err(),
            "the trap did not spring"
        );
        let other = instance
            .get_typed_func::<i32, i32>(&mut store, "other")
            .unwrap();
        assert_eq!(other.call(&mut store, 4242).unwrap(), 4242);
    }
}
