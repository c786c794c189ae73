//! From descriptors to the model.

use std::collections::{BTreeSet, HashSet};

use super::{
    Derives, Enum, Extension, Field, File, Idempotency, Kind, Message, Method, Oneof, Scalar,
    Service, Shape, Source, TypeRef, Value,
    comments::Sources,
    default,
    features::{Features, MessageEncoding, Presence, RepeatedEncoding},
    json_names,
    names::{camel, json_name, shouty, snake, variant},
    options::Options,
    types::{Scope, Types},
};
use crate::{
    Error,
    descriptor::{
        DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptor, Label,
        MethodDescriptorProto, ServiceDescriptorProto, kind,
    },
};

/// Reads all files, of which those of these names are wanted.
pub(super) fn files(
    files: &[FileDescriptor],
    wanted: &BTreeSet<&str>,
    options: &Options,
) -> Result<Vec<File>, Error> {
    let types = Types::new(files, options)?;
    let read = files.iter().map(|descriptor| {
        let file = &descriptor.file;
        let features = Features::of_file(descriptor)?;
        let reader = Reader {
            sources: Sources::new(file),
            types: &types,
            options,
        };
        let scope = Scope::new(file.package());
        let (messages, enums) = (&file.message_type, &file.enum_type);
        Ok(File {
            name: file.name().to_owned(),
            package: file.package().to_owned(),
            wanted: wanted.contains(file.name()),
            messages: each(messages, &[], MESSAGE_OF_FILE, |message, path| {
                reader.message(message, &scope, path, features)
            })?,
            enums: each(enums, &[], ENUM_OF_FILE, |e, path| {
                reader.enumeration(e, &scope, path)
            })?,
            extensions: reader.extensions(
                (&file.extension, EXTENSION_OF_FILE),
                &scope,
                &[],
                features,
            )?,
            services: each(&file.service, &[], SERVICE_OF_FILE, |service, path| {
                reader.service(service, &scope, path)
            })?,
        })
    });
    let mut read = read.collect::<Result<Vec<_>, Error>>()?;
    read.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(read)
}

/// Reads each of a list of elements; its path is that of what it is in, the field, and its index.
fn each<T, U>(
    items: &[T],
    path: &[i32],
    field: i32,
    read: impl Fn(&T, &[i32]) -> Result<U, Error>,
) -> Result<Vec<U>, Error> {
    let mut path = [path, &[field, 0]].concat();
    let last = path.len() - 1;
    let items = items.iter().enumerate().map(|(index, item)| {
        path[last] = i32::try_from(index).unwrap_or(i32::MAX);
        read(item, &path)
    });
    items.collect()
}

/// What is needed to read a file.
struct Reader<'a> {
    sources: Sources<'a>,
    types: &'a Types<'a>,
    options: &'a Options,
}

impl Reader<'_> {
    fn message(
        &self,
        message: &DescriptorProto,
        scope: &Scope,
        path: &[i32],
        features: Features,
    ) -> Result<Message, Error> {
        let source = self.sources.get(path);
        let name = scope.join(message.name());
        let to = self.type_ref(&name, &source)?;
        let own = message.options.as_ref().and_then(|o| o.features.as_ref());
        let features = features.with(own);
        json_names::check(message, features, |at| {
            let at = i32::try_from(at).unwrap_or_default();
            let field = [path, &[FIELD_OF_MESSAGE, at]].concat();
            self.sources.get(&field).place
        })?;
        let oneofs = self.oneofs(message, &to, path);
        let members = Members {
            message,
            name: &name,
            features,
            oneofs: &oneofs,
        };
        let scope = Scope(name.clone());
        let nested = each(
            &message.nested_type,
            path,
            MESSAGE_OF_MESSAGE,
            |nested, path| match nested.is_map_entry() {
                true => Ok(None),
                false => self.message(nested, &scope, path, features).map(Some),
            },
        )?;
        Ok(Message {
            fields: each(&message.field, path, FIELD_OF_MESSAGE, |field, path| {
                self.field(field, &members, path)
            })?,
            messages: nested.into_iter().flatten().collect(),
            enums: each(&message.enum_type, path, ENUM_OF_MESSAGE, |e, path| {
                self.enumeration(e, &scope, path)
            })?,
            extensions: self.extensions(
                (&message.extension, EXTENSION_OF_MESSAGE),
                &scope,
                path,
                features,
            )?,
            oneofs: oneofs.into_iter().map(|(_, oneof)| oneof).collect(),
            derives: Derives::default(),
            keeps_unknown: self.options.unknown_fields(&name),
            attributes: self.options.type_attributes(&name),
            name: message.name().to_owned(),
            full_name: to.full_name,
            path: to.path,
            source,
        })
    }

    /// The oneofs that have members, each with its index in the descriptor.
    fn oneofs(&self, message: &DescriptorProto, to: &TypeRef, path: &[i32]) -> Vec<(i32, Oneof)> {
        let nested = message.nested_type.iter().map(|nested| nested.name());
        let nested = nested.chain(message.enum_type.iter().map(|e| e.name()));
        let nested: HashSet<_> = nested.map(camel).collect();
        let mut out = Vec::new();
        for (index, oneof) in (0..).zip(&message.oneof_decl) {
            let is_member = |field: &&FieldDescriptorProto| field.oneof_index == Some(index);
            if message
                .field
                .iter()
                .filter(is_member)
                .all(|field| field.proto3_optional())
            {
                continue;
            }
            let mut type_name = camel(oneof.name());
            if nested.contains(&type_name) {
                type_name.push_str("OneOf");
            }
            let name = format!(".{}.{}", to.full_name, oneof.name());
            let oneof = Oneof {
                source: self
                    .sources
                    .get(&[path, &[ONEOF_OF_MESSAGE, index]].concat()),
                name: oneof.name().to_owned(),
                rust_name: snake(oneof.name()),
                path: to.path.inside(message.name(), &type_name),
                derives: Derives::default(),
                attributes: self.options.type_attributes(&name),
                field_attributes: self.options.field_attributes(&[&name]),
            };
            out.push((index, oneof));
        }
        out
    }

    fn field(
        &self,
        field: &FieldDescriptorProto,
        members: &Members<'_>,
        path: &[i32],
    ) -> Result<Field, Error> {
        let source = self.sources.get(path);
        let oneof = members.oneof_of(field);
        let (features, of_oneof) = (members.features_of(field), oneof.map(|(_, oneof)| oneof));
        let mut names = vec![format!("{}.{}", members.name, field.name())];
        names.extend(of_oneof.map(|o| format!("{}.{}.{}", members.name, o.name, field.name())));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let entry = self.types.map_entry(field.type_name());
        let (kind, shape) = match entry.map(|entry| entry.field.as_slice()) {
            Some([key, value]) => {
                let key = scalar(key, &source)?;
                let ordered = !self.options.hash_map(&names);
                let kind = self.kind(value, false, &names, &source)?;
                (kind, Shape::Map { key, ordered })
            }
            Some(_) => return Err(unknown_type(field, &source)),
            None => {
                let delimited = features.message_encoding() == MessageEncoding::Delimited;
                let kind = self.kind(field, delimited, &names, &source)?;
                let shape = match oneof {
                    Some((index, _)) => Shape::Oneof(index),
                    None => shape(field, &kind, features),
                };
                (kind, shape)
            }
        };
        let options = field.options.as_ref();
        Ok(Field {
            name: field.name().to_owned(),
            json_name: field
                .json_name
                .clone()
                .unwrap_or_else(|| json_name(field.name())),
            number: field.number(),
            rust_name: match shape {
                Shape::Oneof(_) => camel(field.name()),
                _ => snake(field.name()),
            },
            boxed: matches!(kind, Kind::Message { .. }) && self.options.boxed(&names),
            closed: matches!(&kind, Kind::Enum(to) if self.types.is_closed_enum(&to.full_name)),
            default: default::of(field),
            deprecated: options.is_some_and(|options| options.deprecated()),
            attributes: self.options.field_attributes(&names),
            kind,
            shape,
            source,
        })
    }

    /// Those that can be read: of messages that keep them.
    fn extensions(
        &self,
        (fields, number): (&[FieldDescriptorProto], i32),
        scope: &Scope,
        path: &[i32],
        features: Features,
    ) -> Result<Vec<Extension>, Error> {
        let members = Members {
            message: &DescriptorProto::default(),
            name: &scope.0,
            features,
            oneofs: &[],
        };
        let found = each(fields, path, number, |field, path| {
            let of = field.extendee();
            if !self.options.unknown_fields(of) || self.types.is_message_set(of) {
                return Ok(None);
            }
            let name = scope.join(field.name());
            Ok(Some(Extension {
                full_name: name.trim_start_matches('.').to_owned(),
                rust_name: shouty(field.name()),
                of: self.type_ref(of, &self.sources.get(path))?,
                field: self.field(field, &members, path)?,
            }))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    fn kind(
        &self,
        field: &FieldDescriptorProto,
        delimited: bool,
        names: &[&str],
        source: &Source,
    ) -> Result<Kind, Error> {
        let to = || self.type_ref(field.type_name(), source);
        Ok(match field.r#type() {
            kind::BYTES => Kind::Bytes {
                shared: self.options.shared_bytes(names),
            },
            kind::ENUM => Kind::Enum(to()?),
            kind::GROUP | kind::MESSAGE => Kind::Message {
                to: to()?,
                delimited,
            },
            _ => Kind::Scalar(scalar(field, source)?),
        })
    }

    fn type_ref(&self, full_name: &str, source: &Source) -> Result<TypeRef, Error> {
        self.types.get(full_name).ok_or_else(|| {
            let text = format!("{full_name} is not among the descriptors");
            Error::at(source.place.clone(), text)
        })
    }

    fn enumeration(
        &self,
        descriptor: &EnumDescriptorProto,
        scope: &Scope,
        path: &[i32],
    ) -> Result<Enum, Error> {
        let source = self.sources.get(path);
        let name = scope.join(descriptor.name());
        let to = self.type_ref(&name, &source)?;
        let mut values = each(&descriptor.value, path, VALUE_OF_ENUM, |value, path| {
            let options = value.options.as_ref();
            Ok(Value {
                source: self.sources.get(path),
                name: value.name().to_owned(),
                number: value.number(),
                alias: false,
                variant: variant(value.name(), descriptor.name()),
                deprecated: options.is_some_and(|options| options.deprecated()),
                attributes: self
                    .options
                    .field_attributes(&[&format!("{name}.{}", value.name())]),
            })
        })?;
        let mut numbers = HashSet::new();
        for value in &mut values {
            value.alias = !numbers.insert(value.number);
        }
        Ok(Enum {
            name: descriptor.name().to_owned(),
            full_name: to.full_name,
            path: to.path,
            values,
            attributes: self.options.type_attributes(&name),
            source,
        })
    }

    fn service(
        &self,
        service: &ServiceDescriptorProto,
        scope: &Scope,
        path: &[i32],
    ) -> Result<Service, Error> {
        let options = service.options.as_ref();
        let deprecated = options.is_some_and(|options| options.deprecated());
        let full_name = scope.join(service.name());
        Ok(Service {
            source: self.sources.get(path),
            full_name: full_name.trim_start_matches('.').to_owned(),
            rust_name: camel(service.name()),
            module: snake(service.name()),
            methods: each(&service.method, path, METHOD_OF_SERVICE, |method, path| {
                let name = format!("{full_name}.{}", method.name());
                self.method(method, &name, deprecated, path)
            })?,
        })
    }

    fn method(
        &self,
        method: &MethodDescriptorProto,
        name: &str,
        deprecated: bool,
        path: &[i32],
    ) -> Result<Method, Error> {
        let source = self.sources.get(path);
        let options = method.options.unwrap_or_default();
        Ok(Method {
            name: method.name().to_owned(),
            rust_name: snake(method.name()),
            input: self.type_ref(method.input_type(), &source)?,
            output: self.type_ref(method.output_type(), &source)?,
            client_streaming: method.client_streaming(),
            server_streaming: method.server_streaming(),
            deprecated: deprecated || options.deprecated(),
            takes_view: self.options.view(name),
            idempotency: match options.idempotency_level() {
                1 => Some(Idempotency::NoSideEffects),
                2 => Some(Idempotency::Idempotent),
                _ => None,
            },
            source,
        })
    }
}

/// The message that fields are in.
struct Members<'a> {
    message: &'a DescriptorProto,
    /// With a leading dot.
    name: &'a str,
    features: Features,
    oneofs: &'a [(i32, Oneof)],
}

impl Members<'_> {
    /// The oneof of a field, and its place among those of the model.
    fn oneof_of(&self, field: &FieldDescriptorProto) -> Option<(usize, &Oneof)> {
        let index = field.oneof_index.filter(|_| !field.proto3_optional())?;
        let at = self.oneofs.iter().position(|(other, _)| *other == index)?;
        Some((at, &self.oneofs[at].1))
    }

    fn features_of(&self, field: &FieldDescriptorProto) -> Features {
        let index = field
            .oneof_index
            .and_then(|index| usize::try_from(index).ok());
        let oneof = index.and_then(|index| self.message.oneof_decl.get(index));
        let options = oneof.and_then(|oneof| oneof.options.as_ref());
        let features = self
            .features
            .with(options.and_then(|o| o.features.as_ref()));
        features.of_field(field)
    }
}

/// The shape of a field that is neither a map nor in a oneof.
fn shape(field: &FieldDescriptorProto, kind: &Kind, features: Features) -> Shape {
    let is_message = matches!(kind, Kind::Message { .. });
    match features.field_presence() {
        _ if field.label() == Label::Repeated => Shape::Repeated {
            packed: features.repeated_field_encoding() == RepeatedEncoding::Packed,
        },
        Presence::LegacyRequired => Shape::Required,
        Presence::Implicit if !is_message => Shape::Implicit,
        _ => Shape::Optional,
    }
}

fn scalar(field: &FieldDescriptorProto, source: &Source) -> Result<Scalar, Error> {
    Scalar::try_from(field.r#type()).map_err(|_| unknown_type(field, source))
}

fn unknown_type(field: &FieldDescriptorProto, source: &Source) -> Error {
    let text = format!("field {} has an unknown type", field.name());
    Error::at(source.place.clone(), text)
}

// Field numbers of `descriptor.proto`, which paths of locations consist of.
const MESSAGE_OF_FILE: i32 = 4;
const ENUM_OF_FILE: i32 = 5;
const SERVICE_OF_FILE: i32 = 6;
const EXTENSION_OF_FILE: i32 = 7;
const FIELD_OF_MESSAGE: i32 = 2;
const MESSAGE_OF_MESSAGE: i32 = 3;
const ENUM_OF_MESSAGE: i32 = 4;
const EXTENSION_OF_MESSAGE: i32 = 6;
const ONEOF_OF_MESSAGE: i32 = 8;
const VALUE_OF_ENUM: i32 = 2;
const METHOD_OF_SERVICE: i32 = 2;
