//! Takes out of a linked module what nothing calls.
//!
//! The SDK exports every callback of the ABI, and the linker keeps what any export
//! leads to. This keeps the exports of a list, and what can be reached from them.
//! Indices and addresses, which the linker pads to be able to fill them in, become as
//! short as they can be. Names and other custom sections go.

use std::collections::BTreeSet;
use std::fmt;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportSection, Function, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ElementItems, Export, ExportSectionReader,
    ExternalKind, FunctionBody, FunctionSectionReader, ImportSectionReader, Operator, Parser,
    Payload, TypeRef,
};

/// The module with these exports, and no others. `renamed` is the name that one of them has
/// before, and after.
///
/// # Errors
///
/// When it lacks one of them, or has what this step does not know.
pub(crate) fn reduce(
    module: &[u8],
    exports: &[&str],
    renamed: (&str, &str),
) -> Result<Vec<u8>, String> {
    let functions = Functions::read(module).map_err(|error| error.to_string())?;
    let reached = functions.reached(&functions.exported(exports)?);
    let mut copy = Copy {
        indices: functions.indices(&reached),
        imported: functions.imported,
        reached,
        exports,
        renamed,
    };
    let mut reduced = Module::new();
    copy.parse_core_module(&mut reduced, Parser::new(0), module)
        .map_err(|error| error.to_string())?;
    Ok(reduced.finish())
}

/// The functions of a module, and what leads to them. The imported ones come first.
#[derive(Default)]
struct Functions<'a> {
    imported: u32,
    /// By function: its type.
    types: Vec<u32>,
    /// By function that is not imported: what it calls.
    calls: Vec<Calls>,
    /// Those that can be called by their address.
    table: Vec<u32>,
    exports: Vec<Export<'a>>,
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    functions: Vec<u32>,
    /// Functions of these types are called by their address.
    types: Vec<u32>,
}

impl<'a> Functions<'a> {
    fn read(module: &'a [u8]) -> wasmparser::Result<Functions<'a>> {
        let mut functions = Functions::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if let TypeRef::Func(its_type) = import?.ty {
                            functions.types.push(its_type);
                            functions.imported += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for its_type in section {
                        functions.types.push(its_type?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        functions.exports.push(export?);
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        if let ElementItems::Functions(items) = element?.items {
                            for function in items {
                                functions.table.push(function?);
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => functions.calls.push(Calls::of(&body)?),
                _ => {}
            }
        }
        Ok(functions)
    }

    /// The functions among these exports.
    fn exported(&self, names: &[&str]) -> Result<Vec<u32>, String> {
        let mut exported = Vec::new();
        for name in names {
            let found = self.exports.iter().find(|export| export.name == *name);
            let export = found.ok_or_else(|| format!("it does not export {name}"))?;
            if export.kind == ExternalKind::Func {
                exported.push(export.index);
            }
        }
        Ok(exported)
    }

    /// All functions that may be called when these are.
    fn reached(&self, exported: &[u32]) -> BTreeSet<u32> {
        let (mut reached, mut types) = (BTreeSet::new(), BTreeSet::new());
        let mut next = exported.to_vec();
        while let Some(function) = next.pop() {
            if !reached.insert(function) || function < self.imported {
                continue;
            }
            let calls = &self.calls[(function - self.imported) as usize];
            next.extend(&calls.functions);
            for its_type in &calls.types {
                if types.insert(*its_type) {
                    let table = self.table.iter();
                    next.extend(table.filter(|one| self.types[**one as usize] == *its_type));
                }
            }
        }
        reached
    }

    /// By function: its index once only what is reached is left; `None`: it goes. A place
    /// of the table must not be empty, so what is in it stays, if need be without code.
    fn indices(&self, reached: &BTreeSet<u32>) -> Vec<Option<u32>> {
        let kept: BTreeSet<u32> = self.table.iter().chain(reached).copied().collect();
        let mut indices = vec![None; self.types.len()];
        for (index, function) in (0..).zip(kept) {
            indices[function as usize] = Some(index);
        }
        indices
    }
}

impl Calls {
    fn of(body: &FunctionBody<'_>) -> wasmparser::Result<Calls> {
        let mut calls = Calls::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } => calls.functions.push(function_index),
                Operator::CallIndirect { type_index, .. } => calls.types.push(type_index),
                _ => {}
            }
        }
        Ok(calls)
    }
}

/// Copies a module without what is not reached.
struct Copy<'a> {
    imported: u32,
    indices: Vec<Option<u32>>,
    reached: BTreeSet<u32>,
    exports: &'a [&'a str],
    renamed: (&'a str, &'a str),
}

impl Copy<'_> {
    fn is_kept(&self, function: u32) -> bool {
        self.indices[function as usize].is_some()
    }
}

impl Reencode for Copy<'_> {
    type Error = Unreached;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Unreached>> {
        self.indices[function as usize].ok_or(Error::UserError(Unreached(function)))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Unreached>> {
        let mut function = 0;
        for import in section.into_imports() {
            let import = import?;
            if let TypeRef::Func(_) = import.ty {
                function += 1;
                if !self.is_kept(function - 1) {
                    continue;
                }
            }
            self.parse_import(imports, import)?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Unreached>> {
        for (function, its_type) in (self.imported..).zip(section) {
            if self.is_kept(function) {
                functions.function(its_type?);
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error<Unreached>> {
        for export in section {
            let mut export = export?;
            if self.exports.contains(&export.name) {
                let (before, after) = self.renamed;
                if export.name == before {
                    export.name = after;
                }
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Unreached>> {
        for (function, body) in (self.imported..).zip(section) {
            if self.reached.contains(&function) {
                utils::parse_function_body(self, code, body?)?;
            } else if self.is_kept(function) {
                let mut empty = Function::new([]);
                empty.instructions().unreachable().end();
                code.function(&empty);
            }
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Unreached>> {
        Ok(())
    }
}

/// A function that is referred to in a way that this step does not know.
#[derive(Debug)]
struct Unreached(u32);

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {} is used, and not found to be", self.0)
    }
}

impl std::error::Error for Unreached {}
