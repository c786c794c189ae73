//! How an element of a schema comes out in Rust, and why: what `connect-codegen explain` prints.

mod code;
mod elements;

use std::path::PathBuf;

use code::Parts;
use elements::{Element, elements};

use crate::{
    Config, Error,
    descriptor::FileDescriptor,
    emit::{self, DescriptorSets},
    nearest::nearest,
    schema::{
        Enum, Feature, Field, Idempotency, Kind, Message, Method, Oneof, Scalar, Schema, Service,
        Shape, Source, TypePath, TypeRef, Value, covers, module_of, origins,
    },
};

/// What is known of the element of this full name, with or without a leading dot.
///
/// # Errors
/// If there is none.
pub(crate) fn explain(
    schema: &Schema,
    files: &[FileDescriptor],
    config: &Config,
    name: &str,
    on_disk: impl Fn(&str) -> Option<PathBuf>,
) -> Result<String, Error> {
    let name = name.trim_start_matches('.');
    let elements = elements(schema);
    let Some((_, file, element)) = elements.iter().find(|(known, ..)| known == name) else {
        let error = Error::new(format!("there is no {name} in the files"));
        let known = elements.iter().map(|(known, ..)| known.as_str());
        return Err(match nearest(name, known) {
            Some(near) => error.with_help(format!("did you mean {near}?")),
            None => error.with_help("give a full name: package.Message.field"),
        });
    };
    let packages = emit::packages(schema, &DescriptorSets::new(files), config)?;
    let mut out = Explanation::new(element.what(), name, element.source(), on_disk);
    let code = Parts {
        file,
        config,
        packages: &packages,
    };
    match *element {
        Element::Message(message) => out.message(message, &code),
        Element::Field(message, field) => out.field(message, field, &code),
        Element::Oneof(message, index, oneof) => out.oneof(message, index, oneof, &code),
        Element::Enum(enumeration) => out.enumeration(enumeration, &code),
        Element::Value(enumeration, value) => out.value(enumeration, value, &code),
        Element::Service(service) => out.service(service, &code),
        Element::Method(service, method) => out.method(service, method, &code),
    }
    out.comments(element.source());
    let descriptor = files.iter().find(|other| other.file.name() == file.name);
    let features = descriptor.map(|descriptor| origins(descriptor, name));
    for Feature { name, value, from } in features.transpose()?.into_iter().flatten() {
        out.row(name, format!("{value}, by {from}"));
    }
    Ok(out.text)
}

/// What is said of an element, in lines.
struct Explanation {
    text: String,
}

impl Explanation {
    fn new(
        what: &str,
        name: &str,
        source: &Source,
        on_disk: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        let file = source.place.file.as_ref();
        let path = on_disk(file).map_or_else(|| file.to_owned(), |path| path.display().to_string());
        let mut text = format!("{what} {name}\n --> {path}");
        if let Some((line, column)) = source.place.position {
            text.push_str(&format!(":{line}:{column}"));
        }
        text.push('\n');
        Self { text }
    }

    /// A fact; its further lines stand below the first.
    fn row(&mut self, name: &str, value: impl AsRef<str>) {
        let mut label = name;
        for line in value.as_ref().lines() {
            self.text
                .push_str(format!("  {label:<24} {line}").trim_end());
            self.text.push('\n');
            label = "";
        }
    }

    fn message(&mut self, message: &Message, code: &Parts<'_>) {
        self.rust(&message.path, None);
        self.row("code", code.message(message));
        if let Some(module) = message.module() {
            self.row("nested types", format!("in the module {module} beside it"));
        }
    }

    fn field(&mut self, message: &Message, field: &Field, code: &Parts<'_>) {
        let oneof = match field.shape {
            Shape::Oneof(index) => message.oneofs.get(index),
            _ => None,
        };
        let path = oneof.map_or(&message.path, |oneof| &oneof.path);
        self.rust(path, Some(&field.rust_name));
        self.row("code", code.field(message, field));
        self.row("number", field.number.to_string());
        self.row("type", type_of(field));
        self.row("wire type", wire_type(field));
        self.row(
            "presence",
            match field.shape {
                Shape::Implicit => {
                    "implicit: the default is not written, and is as good as nothing"
                }
                Shape::Optional => "explicit: an Option",
                Shape::Required => "required: always written",
                Shape::Repeated { .. } => "repeated: a Vec, empty by default",
                Shape::Map { ordered: true, .. } => "map: a BTreeMap, empty by default",
                Shape::Map { ordered: false, .. } => "map: a HashMap, by the option hash_map",
                Shape::Oneof(_) => "explicit: a variant of the oneof's enum",
            },
        );
        if let Some(oneof) = oneof {
            self.row(
                "oneof",
                format!("{}, the field {}", oneof.name, oneof.rust_name),
            );
        }
        let name = format!(".{}.{}", message.full_name, field.name);
        let by_option = code.config.boxed.iter().any(|path| covers(path, &name));
        self.row(
            "boxed",
            match (field.boxed, by_option) {
                (true, true) => "yes, by the option boxed",
                (true, false) => "yes: the message may hold itself by it",
                (false, _) => "no",
            },
        );
        let json = if code.config.json {
            field.json_name.as_str()
        } else {
            "none, by the option json"
        };
        self.row("JSON name", json);
        self.row(
            "default",
            field.default.as_deref().unwrap_or("that of the type"),
        );
        if field.deprecated {
            self.row("deprecated", "yes");
        }
    }

    fn oneof(&mut self, message: &Message, index: usize, oneof: &Oneof, code: &Parts<'_>) {
        self.rust(&message.path, Some(&oneof.rust_name));
        self.row("code", code.oneof(message, index, oneof));
        self.row("enum", oneof.path.text(&[]));
        let members = message.members(index).map(|field| field.name.as_str());
        self.row("members", members.collect::<Vec<_>>().join(", "));
    }

    fn enumeration(&mut self, enumeration: &Enum, code: &Parts<'_>) {
        self.rust(&enumeration.path, None);
        self.row("code", code.enumeration(enumeration));
    }

    fn value(&mut self, enumeration: &Enum, value: &Value, code: &Parts<'_>) {
        self.rust(&enumeration.path, Some(&value.variant));
        self.row("code", code.value(enumeration, value));
        self.row("number", value.number.to_string());
    }

    fn service(&mut self, service: &Service, code: &Parts<'_>) {
        let modules = module_of(&code.file.package);
        let path = |name: &str| [modules.as_slice(), &[name.to_owned()]].concat().join("::");
        match code.service(service) {
            Some(found) => {
                self.row("trait", path(&found.trait_name));
                self.row("server", path(&found.server_name));
            }
            None => self.row("trait", "none, by the option server"),
        }
        let methods = service.methods.iter().map(|method| method.name.as_str());
        self.row("methods", methods.collect::<Vec<_>>().join("\n"));
    }

    fn method(&mut self, service: &Service, method: &Method, code: &Parts<'_>) {
        self.row(
            "procedure",
            format!("/{}/{}", service.full_name, method.name),
        );
        self.row(
            "stream type",
            match (method.client_streaming, method.server_streaming) {
                (false, false) => "unary",
                (true, false) => "client stream",
                (false, true) => "server stream",
                (true, true) => "bidi stream",
            },
        );
        self.row(
            "idempotency",
            match method.idempotency {
                None => "unknown: a call is sent again only if the server surely has not begun it",
                Some(Idempotency::NoSideEffects) => "no side effects: Connect's GET is possible",
                Some(Idempotency::Idempotent) => "idempotent",
            },
        );
        for (what, to) in [("input", &method.input), ("output", &method.output)] {
            self.row(what, format!("{}: {}", to.full_name, to.path.text(&[])));
        }
        let index = service
            .methods
            .iter()
            .position(|other| std::ptr::eq(other, method));
        let written = index.and_then(|index| code.method(service, index));
        let none = || String::from("none, by the option server");
        self.row("trait method", written.unwrap_or_else(none));
        if method.deprecated {
            self.row("deprecated", "yes");
        }
    }

    /// The path of a type, or of what is in it.
    fn rust(&mut self, path: &TypePath, within: Option<&str>) {
        let text = path.text(&[]).replace(' ', "");
        self.row(
            "Rust",
            match within {
                Some(name) => format!("{text}::{name}"),
                None => text,
            },
        );
    }

    fn comments(&mut self, source: &Source) {
        let count = source.comments.len();
        let text = match count {
            0 => String::from("none: its documentation is its name"),
            1 => String::from("1 line, which is its documentation"),
            _ => format!("{count} lines, which are its documentation"),
        };
        self.row("comments", text);
    }
}

/// The type as a schema has it.
fn type_of(field: &Field) -> String {
    let value = match &field.kind {
        Kind::Scalar(scalar) => name_of(*scalar),
        Kind::Bytes { .. } => String::from("bytes"),
        Kind::Message { to, .. } => format!("message {}", found(to)),
        Kind::Enum(to) => format!("enum {}", found(to)),
    };
    match field.shape {
        Shape::Map { key, .. } => format!("map of {} to {value}", name_of(key)),
        Shape::Repeated { .. } => format!("repeated {value}"),
        _ => value,
    }
}

fn found(to: &TypeRef) -> String {
    match &to.path {
        TypePath::Local { .. } => to.full_name.clone(),
        TypePath::Extern(path) => format!(
            "{} (not generated: {})",
            to.full_name,
            path.replace(' ', "")
        ),
    }
}

fn name_of(scalar: Scalar) -> String {
    format!("{scalar:?}").to_lowercase()
}

/// By the specification of the encoding: <https://protobuf.dev/programming-guides/encoding/#structure>.
fn wire_type(field: &Field) -> String {
    let one = match &field.kind {
        Kind::Bytes { .. } | Kind::Scalar(Scalar::String) => "2, LEN",
        Kind::Message {
            delimited: false, ..
        } => "2, LEN",
        Kind::Message {
            delimited: true, ..
        } => "3 and 4, SGROUP and EGROUP",
        Kind::Scalar(Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64) => "1, I64",
        Kind::Scalar(Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32) => "5, I32",
        Kind::Enum(_) | Kind::Scalar(_) => "0, VARINT",
    };
    match field.shape {
        Shape::Repeated { packed: true } if emit::messages::can_pack(&field.kind) => {
            format!("2, LEN: packed, each {one}")
        }
        Shape::Repeated { .. } => format!("{one}, one after the other"),
        Shape::Map { .. } => format!("2, LEN: an entry, whose value is {one}"),
        _ => String::from(one),
    }
}
