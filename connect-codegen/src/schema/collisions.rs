//! Names that are different in a `.proto` file and the same in Rust: said with their place, not left to
//! the compiler of generated code.

use std::collections::HashMap;

use super::{
    Enum, Extension, File, Message, Shape, Source, TypePath,
    names::{module_of, snake},
};
use crate::{
    Error,
    error::Place,
    names::{ROOT, UNKNOWN_FIELDS},
};

/// Looks for two names in one place.
pub(super) fn check(files: &[File]) -> Result<(), Error> {
    let mut found = Found::default();
    for file in files.iter().filter(|file| file.wanted) {
        found.package(file);
        file.messages.iter().for_each(|m| found.message(m));
        file.enums.iter().for_each(|e| found.enumeration(e));
        found.extensions(&file.extensions, &module_of(&file.package));
    }
    Error::all(found.errors)
}

#[derive(Default)]
struct Found<'a> {
    packages: HashMap<Vec<String>, &'a str>,
    types: HashMap<&'a TypePath, &'a str>,
    extensions: HashMap<(Vec<String>, &'a str), &'a str>,
    package: &'a str,
    errors: Vec<Error>,
}

impl<'a> Found<'a> {
    fn package(&mut self, file: &'a File) {
        self.package = &file.package;
        let package = &file.package;
        let modules = module_of(package);
        let text = if modules.iter().any(|module| module == ROOT) {
            format!("package {package}: {RESERVED}")
        } else {
            match self.packages.insert(modules.clone(), package) {
                Some(other) if other != package => format!(
                    "two packages are both the module {} in Rust: {other}, {package}",
                    modules.join("::")
                ),
                _ => return,
            }
        };
        let place = Place {
            file: file.name.as_str().into(),
            position: None,
        };
        let error = Error::at(place, text).with_help("the package needs another name");
        self.errors.push(error);
    }

    fn say(&mut self, source: &Source, text: String, help: &str) {
        let error = Error::at(source.place.clone(), text);
        self.errors.push(error.with_help(help));
    }

    fn message(&mut self, message: &'a Message) {
        if message.path.is_extern() {
            return;
        }
        self.add(&message.path, &message.name, &message.source);
        if message.module().is_some_and(|module| module == ROOT) {
            let help = "the message needs another name";
            self.say(&message.source, RESERVED.to_owned(), help);
        }
        for oneof in &message.oneofs {
            self.add(&oneof.path, &oneof.name, &oneof.source);
        }
        self.fields(message);
        if let TypePath::Local { modules, .. } = &message.path {
            let scope = [modules.as_slice(), &[snake(&message.name)]].concat();
            self.extensions(&message.extensions, &scope);
        }
        message.messages.iter().for_each(|m| self.message(m));
        message.enums.iter().for_each(|e| self.enumeration(e));
    }

    fn add(&mut self, path: &'a TypePath, name: &'a str, source: &Source) {
        let Some(other) = self.types.insert(path, name) else {
            return;
        };
        let (package, ident) = (self.package, path.name());
        let text = format!(
            "two types of package {package} are both named {ident} in Rust: {other}, {name}"
        );
        self.say(source, text, "rename one of them");
    }

    fn fields(&mut self, message: &Message) {
        // The oneof that a name is in, if any, is part of it.
        let mut names = HashMap::new();
        let of_fields = message.fields.iter().map(|field| {
            let oneof = match field.shape {
                Shape::Oneof(index) => Some(index),
                _ => None,
            };
            (
                (oneof, field.rust_name.as_str()),
                field.name.as_str(),
                &field.source,
            )
        });
        let kept = message.keeps_unknown.then_some(&message.source);
        let kept = kept.map(|source| ((None, UNKNOWN_FIELDS), UNKNOWN_FIELDS, source));
        let of_oneofs = message.oneofs.iter();
        let of_oneofs =
            of_oneofs.map(|o| ((None, o.rust_name.as_str()), o.name.as_str(), &o.source));
        for (key, name, source) in kept.into_iter().chain(of_fields).chain(of_oneofs) {
            if let Some(other) = names.insert(key, name) {
                let (message, rust) = (&message.name, key.1);
                let text = format!(
                    "two fields of {message} are both named {rust} in Rust: {other}, {name}"
                );
                let help = "rename one of them: the binary encoding stays, and json_name keeps its name in JSON";
                self.say(source, text, help);
            }
        }
    }

    fn extensions(&mut self, all: &'a [Extension], scope: &[String]) {
        for Extension {
            full_name,
            rust_name,
            field,
            ..
        } in all
        {
            let key = (scope.to_vec(), rust_name.as_str());
            if let Some(other) = self.extensions.insert(key, full_name) {
                let text = format!(
                    "two extensions are both named {rust_name} in Rust: {other}, {full_name}"
                );
                self.say(&field.source, text, "rename one of them");
            }
        }
    }

    fn enumeration(&mut self, enumeration: &'a Enum) {
        if enumeration.path.is_extern() {
            return;
        }
        self.add(&enumeration.path, &enumeration.name, &enumeration.source);
        let mut variants = HashMap::new();
        for value in enumeration.values.iter().filter(|value| !value.alias) {
            if let Some(other) = variants.insert(&value.variant, &value.name) {
                let (enumeration, rust, name) = (&enumeration.name, &value.variant, &value.name);
                let text = format!(
                    "two values of {enumeration} are both named {rust} in Rust: {other}, {name}"
                );
                let help = "rename one of them: the binary encoding stays, JSON has the new name";
                self.say(&value.source, text, help);
            }
        }
    }
}

const RESERVED: &str = "a module cannot be named connect_rs, which generated code uses itself";
