//! Where a type of a schema is in Rust.

use std::collections::{HashMap, HashSet};

use super::{
    TypeRef,
    features::{EnumType, Features},
    names::{camel, module_of, snake},
    options::Options,
};
use crate::{
    Error,
    descriptor::{DescriptorProto, EnumDescriptorProto, FileDescriptor},
};

/// The path of a type.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum TypePath {
    /// Generated: the modules from that of all packages, and the name.
    Local { modules: Vec<String>, name: String },
    /// As the configuration has it, or as prost-types has it.
    Extern(String),
}

impl TypePath {
    /// The path as code in these modules names it.
    pub(crate) fn text(&self, from: &[String]) -> String {
        let (modules, name) = match self {
            Self::Local { modules, name } => (modules, name),
            Self::Extern(path) => return path.clone(),
        };
        let common = from.iter().zip(modules).take_while(|(a, b)| a == b).count();
        let mut path = "super::".repeat(from.len() - common);
        for module in &modules[common..] {
            path.extend([module, "::"]);
        }
        path + name
    }

    /// The path of a type in the module of this message.
    pub(super) fn inside(&self, message: &str, name: &str) -> Self {
        let (module, name) = (snake(message), name.to_owned());
        match self {
            Self::Local { modules, .. } => Self::Local {
                modules: [modules.as_slice(), &[module]].concat(),
                name,
            },
            Self::Extern(path) => {
                let outer = path.rsplit_once("::").map_or("", |(outer, _)| outer);
                Self::Extern(format!("{outer}::{module}::{name}"))
            }
        }
    }

    /// A type of a longer name in the same place.
    pub(super) fn with_suffix(&self, suffix: &str) -> Self {
        let mut path = self.clone();
        let (Self::Local { name, .. } | Self::Extern(name)) = &mut path;
        name.push_str(suffix);
        path
    }

    pub(crate) fn is_extern(&self) -> bool {
        matches!(self, Self::Extern(_))
    }

    /// The name of the type.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Local { name, .. } => name,
            Self::Extern(path) => path.rsplit("::").next().unwrap_or(path),
        }
    }
}

/// All messages and enums, by their full names with a leading dot.
pub(super) struct Types<'a> {
    paths: HashMap<String, TypePath>,
    messages: HashMap<String, &'a DescriptorProto>,
    closed_enums: HashSet<String>,
}

impl<'a> Types<'a> {
    pub(super) fn new(files: &'a [FileDescriptor], options: &Options) -> Result<Self, Error> {
        let mut out = Self {
            paths: HashMap::new(),
            messages: HashMap::new(),
            closed_enums: HashSet::new(),
        };
        for descriptor in files {
            let file = &descriptor.file;
            let Scope(scope) = Scope::new(file.package());
            let modules = module_of(file.package());
            out.add(
                &scope,
                &modules,
                (&file.message_type, &file.enum_type),
                Features::of_file(descriptor)?,
                options,
            );
        }
        Ok(out)
    }

    fn add(
        &mut self,
        scope: &str,
        modules: &[String],
        (messages, enums): (&'a [DescriptorProto], &'a [EnumDescriptorProto]),
        features: Features,
        options: &Options,
    ) {
        let messages_and_enums = messages.iter().map(|m| m.name());
        for name in messages_and_enums.chain(enums.iter().map(|e| e.name())) {
            let full_name = format!("{scope}.{name}");
            let local = || TypePath::Local {
                modules: modules.to_vec(),
                name: camel(name),
            };
            let path = options
                .extern_path(&full_name)
                .map_or_else(local, TypePath::Extern);
            self.paths.insert(full_name, path);
        }
        for descriptor in enums {
            let own = descriptor.options.as_ref();
            let own = features.with(own.and_then(|o| o.features.as_ref()));
            if own.enum_type() == EnumType::Closed {
                let full_name = format!("{scope}.{}", descriptor.name());
                self.closed_enums
                    .insert(full_name.trim_start_matches('.').to_owned());
            }
        }
        for message in messages {
            let full_name = format!("{scope}.{}", message.name());
            let modules = [modules, &[snake(message.name())]].concat();
            let inner = (&message.nested_type[..], &message.enum_type[..]);
            let own = message.options.as_ref();
            let features = features.with(own.and_then(|o| o.features.as_ref()));
            self.add(&full_name, &modules, inner, features, options);
            self.messages.insert(full_name, message);
        }
    }

    /// A type by its full name with a leading dot; `None` if no file has it.
    pub(super) fn get(&self, full_name: &str) -> Option<TypeRef> {
        Some(TypeRef {
            full_name: full_name.trim_start_matches('.').to_owned(),
            path: self.paths.get(full_name)?.clone(),
        })
    }

    /// The message that stands for the entries of a map, if this is the name of one.
    pub(super) fn map_entry(&self, full_name: &str) -> Option<&'a DescriptorProto> {
        let found = self.messages.get(full_name).copied();
        found.filter(|message| message.is_map_entry())
    }

    /// Whether a message is a set of messages, which has an encoding of its own.
    pub(super) fn is_message_set(&self, full_name: &str) -> bool {
        let found = self.messages.get(full_name);
        let options = found.and_then(|message| message.options.as_ref());
        options.is_some_and(|options| options.message_set_wire_format())
    }

    /// Whether an enum, by its full name without a leading dot, has no other numbers than those of its values.
    pub(super) fn is_closed_enum(&self, full_name: &str) -> bool {
        self.closed_enums.contains(full_name)
    }
}

/// What an element is in: the full name of a package or message with a leading dot, or nothing.
pub(super) struct Scope(pub(super) String);

impl Scope {
    pub(super) fn new(package: &str) -> Self {
        match package {
            "" => Self(String::new()),
            package => Self(format!(".{package}")),
        }
    }

    pub(super) fn join(&self, name: &str) -> String {
        format!("{}.{name}", self.0)
    }
}
