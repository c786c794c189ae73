//! Parts of generated code, as it is written but for its documentation.

use crate::{
    Config,
    code::Code,
    emit::{Package, Scope, ServiceCode, messages},
    schema::{Enum, Field, File, Message, Oneof, Service, Shape, TypePath, Value},
};

/// What is generated of a file.
pub(super) struct Parts<'a> {
    pub(super) file: &'a File,
    pub(super) config: &'a Config,
    pub(super) packages: &'a [Package<'a>],
}

impl<'a> Parts<'a> {
    pub(super) fn message(&self, message: &Message) -> String {
        self.part(&message.path, |scope, code| {
            messages::message(message, scope, code);
        })
    }

    pub(super) fn field(&self, message: &Message, field: &Field) -> String {
        self.part(&message.path, |scope, code| match field.shape {
            Shape::Oneof(at) => messages::variant(field, &scope_of(&message.oneofs[at].path), code),
            _ => messages::struct_field(field, scope, code),
        })
    }

    pub(super) fn oneof(&self, message: &Message, index: usize, oneof: &Oneof) -> String {
        self.part(&message.path, |scope, code| {
            messages::oneof_field(message, index, oneof, scope, code);
        })
    }

    pub(super) fn enumeration(&self, enumeration: &Enum) -> String {
        self.part(&enumeration.path, |scope, code| {
            messages::enumeration(enumeration, scope, code);
        })
    }

    pub(super) fn value(&self, enumeration: &Enum, value: &Value) -> String {
        if value.alias {
            return String::from("none: an earlier value has its number");
        }
        self.part(&enumeration.path, |_, code| messages::value(value, code))
    }

    /// Its names, and what is written of it.
    pub(super) fn service(&self, service: &Service) -> Option<&'a ServiceCode<'a>> {
        let mut services = self.packages.iter().flat_map(|package| &package.services);
        let found = services.find(|found| found.full_name == service.full_name);
        found.filter(|_| self.config.server)
    }

    pub(super) fn method(&self, service: &Service, index: usize) -> Option<String> {
        let mut code = Code::default();
        self.service(service)?
            .trait_method(index, self.config, &mut code);
        Some(without_docs(&code.into_text()))
    }

    /// What is written of a type, or why nothing is.
    fn part(&self, path: &TypePath, write: impl FnOnce(&Scope, &mut Code)) -> String {
        let none = if path.is_extern() {
            "none: it is not generated, but exists"
        } else if !self.file.wanted {
            "none: its file is imported alone"
        } else if !self.config.messages {
            "none, by the option messages"
        } else {
            let mut code = Code::default();
            write(&scope_of(path), &mut code);
            return without_docs(&code.into_text());
        };
        String::from(none)
    }
}

/// The modules that a type is in.
fn scope_of(path: &TypePath) -> Scope {
    let modules = match path {
        TypePath::Local { modules, .. } => modules.clone(),
        TypePath::Extern(_) => Vec::new(),
    };
    Scope {
        modules,
        is_nested: true,
    }
}

fn without_docs(text: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("///");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}
