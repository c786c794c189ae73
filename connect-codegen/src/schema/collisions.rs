//! Names that are different in a `.proto` file and the same in Rust: said with their place, not left to
//! the compiler of generated code.

use std::collections::HashMap;

use super::{Enum, File, Message, Shape, Source, TypePath, names::module_of};
use crate::{Error, error::Place, names::ROOT};

/// Looks for two names in one place.
pub(super) fn check(files: &[File]) -> Result<(), Error> {
    let mut found = Found::default();
    for file in files.iter().filter(|file| file.wanted) {
        found.package(file)?;
        for message in &file.messages {
            found.message(message)?;
        }
        for enumeration in &file.enums {
            found.enumeration(enumeration)?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Found<'a> {
    packages: HashMap<Vec<String>, &'a str>,
    types: HashMap<&'a TypePath, &'a str>,
    package: &'a str,
}

impl<'a> Found<'a> {
    fn package(&mut self, file: &'a File) -> Result<(), Error> {
        self.package = &file.package;
        let package = &file.package;
        let at = |text| {
            let file = file.name.as_str().into();
            Err(Error::at(
                Place {
                    file,
                    position: None,
                },
                text,
            ))
        };
        let modules = module_of(package);
        if modules.iter().any(|module| module == ROOT) {
            return at(format!("package {package}: {RESERVED}"));
        }
        match self.packages.insert(modules.clone(), package) {
            Some(other) if other != package => at(format!(
                "two packages are both the module {} in Rust: {other}, {package}",
                modules.join("::")
            )),
            _ => Ok(()),
        }
    }

    fn message(&mut self, message: &'a Message) -> Result<(), Error> {
        if message.path.is_extern() {
            return Ok(());
        }
        self.add(&message.path, &message.name, &message.source)?;
        if message.module().is_some_and(|module| module == ROOT) {
            let text = format!("{RESERVED}: the message needs another name");
            return Err(Error::at(message.source.place.clone(), text));
        }
        for oneof in &message.oneofs {
            self.add(&oneof.path, &oneof.name, &oneof.source)?;
        }
        self.fields(message)?;
        for nested in &message.messages {
            self.message(nested)?;
        }
        for nested in &message.enums {
            self.enumeration(nested)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &'a TypePath, name: &'a str, source: &Source) -> Result<(), Error> {
        let Some(other) = self.types.insert(path, name) else {
            return Ok(());
        };
        let (package, ident) = (self.package, path.ident());
        Err(Error::at(
            source.place.clone(),
            format!(
                "two types of package {package} are both named {ident} in Rust: {other}, {name}"
            ),
        ))
    }

    fn fields(&self, message: &Message) -> Result<(), Error> {
        // The oneof that a name is in, if any, is part of it.
        let mut names = HashMap::new();
        let of_fields = message.fields.iter().map(|field| {
            let oneof = match field.shape {
                Shape::Oneof(index) => Some(index),
                _ => None,
            };
            ((oneof, &field.rust_name), &field.name, &field.source)
        });
        let of_oneofs = message.oneofs.iter();
        let of_oneofs =
            of_oneofs.map(|oneof| ((None, &oneof.rust_name), &oneof.name, &oneof.source));
        for (key, name, source) in of_fields.chain(of_oneofs) {
            if let Some(other) = names.insert(key, name) {
                let (message, rust) = (&message.name, key.1);
                return Err(Error::at(
                    source.place.clone(),
                    format!(
                        "two fields of {message} are both named {rust} in Rust: {other}, {name}"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn enumeration(&mut self, enumeration: &'a Enum) -> Result<(), Error> {
        if enumeration.path.is_extern() {
            return Ok(());
        }
        self.add(&enumeration.path, &enumeration.name, &enumeration.source)?;
        let mut variants = HashMap::new();
        for value in enumeration.values.iter().filter(|value| !value.alias) {
            if let Some(other) = variants.insert(&value.variant, &value.name) {
                let (enumeration, rust, name) = (&enumeration.name, &value.variant, &value.name);
                return Err(Error::at(
                    value.source.place.clone(),
                    format!(
                        "two values of {enumeration} are both named {rust} in Rust: {other}, {name}"
                    ),
                ));
            }
        }
        Ok(())
    }
}

const RESERVED: &str = "a module cannot be named connect_rs, which generated code uses itself";
