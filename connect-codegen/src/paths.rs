//! Paths of the configuration that stand for nothing: without an error, a misspelt one has no effect.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type,
};

use crate::{
    Config, Error,
    model::{Model, join},
    names,
};

/// Checks that each path stands for something in these files.
///
/// # Errors
/// For the first path that does not.
pub(crate) fn check(set: &FileDescriptorSet, config: &Config) -> Result<(), Error> {
    let names = Names::new(set);
    let first = |pairs: &[(String, String)]| pairs.iter().map(|pair| pair.0.clone()).collect();
    let extern_paths: Vec<_> = first(&config.extern_paths);
    let type_attributes: Vec<_> = first(&config.type_attributes);
    let field_attributes: Vec<_> = first(&config.field_attributes);
    let options = [
        (
            "extern_path",
            "package or type",
            &extern_paths,
            &names.types,
        ),
        ("bytes", "field of type bytes", &config.bytes, &names.bytes),
        ("hash_map", "map field", &config.hash_maps, &names.maps),
        ("boxed", "message field", &config.boxed, &names.messages),
        (
            "type_attribute",
            "message, enum or oneof",
            &type_attributes,
            &names.attributed,
        ),
        (
            "field_attribute",
            "field or value of an enum",
            &field_attributes,
            &names.fields,
        ),
    ];
    for (option, what, paths, names) in options {
        let is_there = |path: &str| names.iter().any(|name| names::covers(path, name));
        let mut paths = paths.iter().filter(|path| *path != ".");
        if let Some(path) = paths.find(|path| !is_there(path)) {
            return Err(Error::new(format!(
                "{option} {path:?}: there is no {what} of this name in the files; a path begins with a dot, \
                 and stands for all that is below it: .package, .package.Message, .package.Message.field"
            )));
        }
    }
    Ok(())
}

/// The names that paths may stand for, each with a leading dot.
#[derive(Default)]
struct Names {
    /// Messages and enums.
    types: Vec<String>,
    /// Messages, enums and oneofs.
    attributed: Vec<String>,
    /// Fields, oneofs and values of enums.
    fields: Vec<String>,
    /// Those fields that are maps.
    maps: Vec<String>,
    bytes: Vec<String>,
    messages: Vec<String>,
}

impl Names {
    fn new(set: &FileDescriptorSet) -> Self {
        let model = Model::new(&set.file);
        let mut names = Self::default();
        for file in &set.file {
            for message in &file.message_type {
                names.add_message(&model, file.package(), message);
            }
            for enumeration in &file.enum_type {
                names.add_enum(file.package(), enumeration);
            }
        }
        names
    }

    fn add_message(&mut self, model: &Model<'_>, scope: &str, message: &DescriptorProto) {
        let name = join(scope, message.name());
        for field in &message.field {
            let mut paths = vec![format!(".{name}.{}", field.name())];
            // prost takes members of a oneof below the oneof.
            let oneof = field.oneof_index.and_then(|index| {
                let index = usize::try_from(index).ok()?;
                message.oneof_decl.get(index)
            });
            if let Some(oneof) = oneof {
                paths.push(format!(".{name}.{}.{}", oneof.name(), field.name()));
            }
            // The value of a map is a field of its entry.
            let entry = model.map_entry(field);
            let kind = entry.map_or_else(|| field.r#type(), |(_, value)| value.r#type());
            if entry.is_some() {
                self.maps.extend_from_slice(&paths);
            }
            match kind {
                Type::Bytes => self.bytes.extend_from_slice(&paths),
                Type::Message | Type::Group => self.messages.extend_from_slice(&paths),
                _ => {}
            }
            self.fields.append(&mut paths);
        }
        for oneof in &message.oneof_decl {
            let path = format!(".{name}.{}", oneof.name());
            self.fields.push(path.clone());
            self.attributed.push(path);
        }
        for nested in &message.nested_type {
            let is_entry = nested
                .options
                .as_ref()
                .is_some_and(|options| options.map_entry());
            if !is_entry {
                self.add_message(model, &name, nested);
            }
        }
        for nested in &message.enum_type {
            self.add_enum(&name, nested);
        }
        self.add_type(&name);
    }

    fn add_enum(&mut self, scope: &str, enumeration: &EnumDescriptorProto) {
        let name = join(scope, enumeration.name());
        for value in &enumeration.value {
            self.fields.push(format!(".{name}.{}", value.name()));
        }
        self.add_type(&name);
    }

    fn add_type(&mut self, name: &str) {
        self.types.push(format!(".{name}"));
        self.attributed.push(format!(".{name}"));
    }
}
