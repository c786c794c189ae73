//! The descriptors, to be looked up by what prost's output tells of them.

use std::collections::HashMap;

use prost_build::Module;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::Type,
};

/// All messages and enums of a set of files.
///
/// A scope is the full name of a package or message, without a leading dot.
#[derive(Default)]
pub(crate) struct Model<'a> {
    messages: HashMap<String, &'a DescriptorProto>,
    /// By the scope and the first name in it: names of enum values are unique in the enum's scope,
    /// so this finds an enum without knowing how prost spelled its name.
    enums: HashMap<(String, String), EnumInfo<'a>>,
    /// The message whose nested types lie in a module, by the module's scope and name.
    modules: HashMap<(String, String), String>,
}

/// An enum and its full name.
pub(crate) struct EnumInfo<'a> {
    pub(crate) full_name: String,
    pub(crate) descriptor: &'a EnumDescriptorProto,
}

impl<'a> Model<'a> {
    pub(crate) fn new(files: impl IntoIterator<Item = &'a FileDescriptorProto>) -> Self {
        let mut model = Self::default();
        for file in files {
            model.add_scope(file.package(), &file.message_type, &file.enum_type);
        }
        model
    }

    pub(crate) fn message(&self, full_name: &str) -> Option<&'a DescriptorProto> {
        self.messages.get(full_name).copied()
    }

    /// The enum in this scope whose first value has this name.
    pub(crate) fn enumeration(&self, scope: &str, first_value: &str) -> Option<&EnumInfo<'a>> {
        self.enums.get(&(scope.to_owned(), first_value.to_owned()))
    }

    /// The full name of the message whose nested types are in this module of this scope.
    pub(crate) fn module(&self, scope: &str, module: &str) -> Option<&str> {
        let key = (scope.to_owned(), module.to_owned());
        self.modules.get(&key).map(String::as_str)
    }

    /// The fields of a map entry, if the field is a map.
    pub(crate) fn map_entry(
        &self,
        field: &FieldDescriptorProto,
    ) -> Option<(&'a FieldDescriptorProto, &'a FieldDescriptorProto)> {
        if field.r#type() != Type::Message {
            return None;
        }
        let entry = self.message(field.type_name().trim_start_matches('.'))?;
        match entry.field.as_slice() {
            [key, value] if entry.options.as_ref()?.map_entry() => Some((key, value)),
            _ => None,
        }
    }

    fn add_scope(
        &mut self,
        scope: &str,
        messages: &'a [DescriptorProto],
        enums: &'a [EnumDescriptorProto],
    ) {
        for descriptor in enums {
            if let Some(first) = descriptor.value.first() {
                let info = EnumInfo {
                    full_name: join(scope, descriptor.name()),
                    descriptor,
                };
                let key = (scope.to_owned(), first.name().to_owned());
                self.enums.insert(key, info);
            }
        }
        for message in messages {
            let full_name = join(scope, message.name());
            self.add_scope(&full_name, &message.nested_type, &message.enum_type);
            // prost names both by one rule; this is its public face.
            let module = Module::from_protobuf_package_name(message.name()).to_string();
            self.modules
                .insert((scope.to_owned(), module), full_name.clone());
            self.messages.insert(full_name, message);
        }
    }
}

/// The JSON name of a field: the file's choice, or lowerCamelCase as protoc makes it.
pub(crate) fn json_name(field: &FieldDescriptorProto) -> String {
    if let Some(name) = &field.json_name {
        return name.clone();
    }
    let mut name = String::new();
    let mut upper = false;
    for c in field.name().chars() {
        if c == '_' {
            upper = true;
        } else {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    name
}

pub(crate) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}
