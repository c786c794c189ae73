//! One model of the schemas, made once of their descriptors: names, Rust paths, kinds, presence,
//! features, options. Every emitter is a function of it.

mod collisions;
mod comments;
mod default;
mod derive;
mod features;
mod json_names;
mod names;
mod options;
#[cfg(feature = "command")]
mod origins;
mod read;
mod types;
mod views;

use std::collections::BTreeSet;

pub(crate) use features::{EDITION_2024, EDITION_PROTO2};
pub(crate) use names::{module_of, snake};
#[cfg(feature = "command")]
pub(crate) use options::covers;
#[cfg(feature = "command")]
pub(crate) use origins::{Feature, origins};
pub(crate) use types::TypePath;
pub(crate) use views::Views;

use crate::{Config, Error, descriptor::FileDescriptor, error::Place};

/// All files, with those that they import.
pub(crate) struct Schema {
    /// Sorted by name, as frontends have them in different orders.
    pub(crate) files: Vec<File>,
    pub(crate) views: Views,
    options: options::Options,
}

impl Schema {
    /// Reads the files, of which `wanted` are those to generate code for.
    pub(crate) fn new(
        files: &[FileDescriptor],
        wanted: &BTreeSet<&str>,
        config: &Config,
    ) -> Result<Self, Error> {
        let options = options::Options::new(config)?;
        let mut files = read::files(files, wanted, &options)?;
        derive::resolve(&mut files);
        if config.messages {
            collisions::check(&files)?;
        }
        Ok(Self {
            views: Views::new(&files, &options),
            files,
            options,
        })
    }

    /// Whether each path of the configuration stands for something in the files.
    ///
    /// # Errors
    /// For the first path that does not.
    pub(crate) fn check_options(&self) -> Result<(), Error> {
        self.options.check()
    }
}

pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) package: String,
    /// Whether code is to be generated for it; the others are imported.
    pub(crate) wanted: bool,
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) services: Vec<Service>,
    pub(crate) extensions: Vec<Extension>,
}

/// What the `.proto` file has for an element.
pub(crate) struct Source {
    pub(crate) place: Place,
    /// The comment's lines, each with the space that it begins with.
    pub(crate) comments: Vec<String>,
}

pub(crate) struct Message {
    pub(crate) source: Source,
    pub(crate) name: String,
    /// Without a leading dot.
    pub(crate) full_name: String,
    pub(crate) path: TypePath,
    /// In the order of the file, members of oneofs among them.
    pub(crate) fields: Vec<Field>,
    /// Without those that stand for proto3's `optional`.
    pub(crate) oneofs: Vec<Oneof>,
    /// Without those that stand for the entries of maps.
    pub(crate) messages: Vec<Self>,
    pub(crate) enums: Vec<Enum>,
    /// Those that are declared in it, of any message.
    pub(crate) extensions: Vec<Extension>,
    pub(crate) derives: Derives,
    /// Whether it has a field for the fields that are not in the schema.
    pub(crate) keeps_unknown: bool,
    pub(crate) attributes: Vec<String>,
}

/// What a type can derive, by what it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Derives {
    pub(crate) copy: bool,
    /// `Eq` and `Hash`.
    pub(crate) eq: bool,
}

pub(crate) struct Oneof {
    pub(crate) source: Source,
    pub(crate) name: String,
    /// Of the field that holds it.
    pub(crate) rust_name: String,
    /// Of the enum, in the module of the message.
    pub(crate) path: TypePath,
    pub(crate) derives: Derives,
    pub(crate) attributes: Vec<String>,
    pub(crate) field_attributes: Vec<String>,
}

pub(crate) struct Field {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) json_name: String,
    pub(crate) number: i32,
    /// Of the field; or, in a oneof, of the variant.
    pub(crate) rust_name: String,
    /// Of its value; of a map, of the values.
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) boxed: bool,
    /// Whether its values are those of an enum that has no others.
    pub(crate) closed: bool,
    /// As prost writes it.
    pub(crate) default: Option<String>,
    pub(crate) deprecated: bool,
    pub(crate) attributes: Vec<String>,
}

/// A field of a message that keeps unknown fields, declared elsewhere.
pub(crate) struct Extension {
    /// Without a leading dot.
    pub(crate) full_name: String,
    /// Of the constant.
    pub(crate) rust_name: String,
    /// The message that it is of.
    pub(crate) of: TypeRef,
    pub(crate) field: Field,
}

/// How often a field has a value, and whether its absence shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// A default is as good as none.
    Implicit,
    Optional,
    Required,
    Repeated {
        packed: bool,
    },
    Map {
        key: Scalar,
        ordered: bool,
    },
    /// A member of the oneof of this index.
    Oneof(usize),
}

#[derive(Clone)]
pub(crate) enum Kind {
    Scalar(Scalar),
    /// `shared` is `Bytes` instead of `Vec<u8>`.
    Bytes {
        shared: bool,
    },
    /// `delimited` are groups.
    Message {
        to: TypeRef,
        delimited: bool,
    },
    Enum(TypeRef),
}

/// A type that a field has.
#[derive(Clone)]
pub(crate) struct TypeRef {
    /// Without a leading dot.
    pub(crate) full_name: String,
    pub(crate) path: TypePath,
}

/// By the numbers of `FieldDescriptorProto.Type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Scalar {
    Double = 1,
    Float = 2,
    Int64 = 3,
    Uint64 = 4,
    Int32 = 5,
    Fixed64 = 6,
    Fixed32 = 7,
    Bool = 8,
    String = 9,
    Uint32 = 13,
    Sfixed32 = 15,
    Sfixed64 = 16,
    Sint32 = 17,
    Sint64 = 18,
}

pub(crate) struct Enum {
    pub(crate) source: Source,
    pub(crate) name: String,
    /// Without a leading dot.
    pub(crate) full_name: String,
    pub(crate) path: TypePath,
    pub(crate) values: Vec<Value>,
    pub(crate) attributes: Vec<String>,
}

pub(crate) struct Value {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) number: i32,
    /// Whether an earlier value has the number: this one has no variant.
    pub(crate) alias: bool,
    pub(crate) variant: String,
    pub(crate) deprecated: bool,
    pub(crate) attributes: Vec<String>,
}

pub(crate) struct Service {
    pub(crate) source: Source,
    /// Without a leading dot.
    pub(crate) full_name: String,
    /// Of the trait.
    pub(crate) rust_name: String,
    /// Of the constants.
    pub(crate) module: String,
    pub(crate) methods: Vec<Method>,
}

pub(crate) struct Method {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) rust_name: String,
    pub(crate) input: TypeRef,
    pub(crate) output: TypeRef,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    /// The method, or its whole service.
    pub(crate) deprecated: bool,
    /// Whether its handler takes the view of its input, if there is one.
    pub(crate) takes_view: bool,
    /// `IdempotencyLevel`, unless it is unknown.
    pub(crate) idempotency: Option<Idempotency>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Idempotency {
    NoSideEffects,
    Idempotent,
}

impl Message {
    /// The members of a oneof.
    pub(crate) fn members(&self, oneof: usize) -> impl Iterator<Item = &Field> {
        let is_member = move |field: &&Field| field.shape == Shape::Oneof(oneof);
        self.fields.iter().filter(is_member)
    }

    /// The module of its oneofs and nested types; `None` if it has none.
    pub(crate) fn module(&self) -> Option<String> {
        let types = self.messages.is_empty() && self.enums.is_empty() && self.oneofs.is_empty();
        (!types || !self.extensions.is_empty()).then(|| snake(&self.name))
    }
}
