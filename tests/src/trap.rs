//! The filter with a trap built in, to see what a dying VM costs.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportKind, ExportSection, Function, FunctionSection, Module};
use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

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
    let mut trap = Trap {
        callback: Callback::find(module, callback),
        name: callback,
        arg: arg.0.into(),
        value,
    };
    let mut out = Module::new();
    trap.parse_core_module(&mut out, Parser::new(0), module)
        .unwrap();
    out.finish()
}

/// An exported function.
struct Callback {
    function: u32,
    type_index: u32,
    parameters: u32,
    /// How many functions the module has, and so the index of one more.
    functions: u32,
}

impl Callback {
    fn find(module: &[u8], name: &str) -> Self {
        let (mut parameters, mut types, mut function) = (Vec::new(), Vec::new(), None);
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::TypeSection(section) => {
                    for group in section {
                        for sub_type in group.unwrap().into_types() {
                            parameters.push(match sub_type.composite_type.inner {
                                CompositeInnerType::Func(signature) => signature.params().len(),
                                _ => 0,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if let TypeRef::Func(type_index) = import.unwrap().ty {
                            types.push(type_index);
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    types.extend(section.into_iter().map(Result::unwrap));
                }
                Payload::ExportSection(section) => {
                    let mut exports = section.into_iter().map(Result::unwrap);
                    let export =
                        exports.find(|one| one.name == name && one.kind == ExternalKind::Func);
                    function = export.map(|export| export.index);
                }
                _ => {}
            }
        }
        let function = function.unwrap_or_else(|| panic!("the module exports no {name}"));
        let type_index = types[function as usize];
        Self {
            function,
            type_index,
            parameters: parameters[type_index as usize] as u32,
            functions: types.len() as u32,
        }
    }
}

/// Copies a module and puts one function before the callback.
struct Trap<'a> {
    callback: Callback,
    name: &'a str,
    arg: u32,
    value: i32,
}

impl Reencode for Trap<'_> {
    type Error = Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.callback.type_index);
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), Error<Infallible>> {
        if export.name == self.name && export.kind == ExternalKind::Func {
            exports.export(export.name, ExportKind::Func, self.callback.functions);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_code_section(self, code, section)?;
        let mut wrapper = Function::new([]);
        let mut body = wrapper.instructions();
        body.local_get(self.arg)
            .i32_const(self.value)
            .i32_eq()
            .if_(wasm_encoder::BlockType::Empty)
            .unreachable()
            .end();
        for parameter in 0..self.callback.parameters {
            body.local_get(parameter);
        }
        body.call(self.callback.function).end();
        code.function(&wrapper);
        Ok(())
    }
}

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
