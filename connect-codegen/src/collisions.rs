//! Names that are different in a `.proto` file and the same in Rust: said with their place, not left
//! to the compiler of generated code.

use std::collections::{HashMap, HashSet};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use syn::{Ident, Item, ItemMod, ItemStruct};

use crate::{
    Error,
    error::Place,
    json::ProstAttr,
    layout::module_name,
    names::{self, ROOT},
    schemas,
};

/// Looks for two types or two fields of one name in prost's output for a package.
pub(crate) fn check(
    items: &[Item],
    package: &str,
    files: &[&FileDescriptorProto],
) -> Result<(), Error> {
    let mut types = HashMap::new();
    for item in items {
        let ident = match item {
            Item::Enum(item) => &item.ident,
            Item::Struct(item) => {
                fields(item, files)?;
                &item.ident
            }
            Item::Mod(item) => {
                module(item, package, files)?;
                continue;
            }
            _ => continue,
        };
        if types.insert(ident, ()).is_some() {
            return Err(two_types(ident, package, files));
        }
    }
    Ok(())
}

/// The name through which generated code reaches other crates is nobody else's.
pub(crate) fn check_packages(names: &[String]) -> Result<(), Error> {
    let mut names = names.iter();
    match names.find(|name| name.split('.').any(|part| module_name(part) == ROOT)) {
        Some(name) => Err(Error::new(format!(
            "package {name}: a module cannot be named {ROOT}, which generated code uses itself"
        ))),
        None => Ok(()),
    }
}

fn module(item: &ItemMod, package: &str, files: &[&FileDescriptorProto]) -> Result<(), Error> {
    if item.ident == ROOT {
        let declared = Declared::all(files);
        let text = format!(
            "a module cannot be named {ROOT}, which generated code uses itself: the message needs another name"
        );
        return Err(match declared.iter().find(|d| d.is_like(&item.ident)) {
            Some(message) => Error::at(message.place(), text),
            None => Error::new(text),
        });
    }
    match &item.content {
        Some((_, items)) => check(items, package, files),
        None => Ok(()),
    }
}

fn fields(item: &ItemStruct, files: &[&FileDescriptorProto]) -> Result<(), Error> {
    let mut tags: HashMap<&Ident, Option<i32>> = HashMap::new();
    for field in &item.fields {
        let Some(ident) = &field.ident else { continue };
        let tag = ProstAttr::of(&field.attrs).tag;
        let Some(other) = tags.insert(ident, tag) else {
            continue;
        };
        let ours = Declared::all(files);
        let message = ours
            .iter()
            .find(|declared| declared.is_like(&item.ident) && declared.has_fields([other, tag]));
        let name = ident.to_string();
        let text = format!(
            "two fields of {} are both named {name:?} in Rust",
            message.map_or_else(|| item.ident.to_string(), |m| m.name.to_owned())
        );
        return Err(match message {
            Some(message) => Error::at(message.place(), text),
            None => Error::new(text),
        });
    }
    Ok(())
}

fn two_types(ident: &Ident, package: &str, files: &[&FileDescriptorProto]) -> Error {
    let declared = Declared::all(files);
    let alike: Vec<_> = declared.iter().filter(|d| d.is_like(ident)).collect();
    let names: Vec<_> = alike.iter().map(|declared| declared.name).collect();
    let text = format!(
        "two types of package {package} are both named {ident} in Rust: {}",
        names.join(", ")
    );
    match alike.last() {
        Some(last) => Error::at(last.place(), text),
        None => Error::new(text),
    }
}

/// Looks for two values of an enum of one name, on which prost-build panics.
pub(crate) fn check_enums(files: &[&FileDescriptorProto]) -> Result<(), Error> {
    for declared in Declared::all(files) {
        let What::Enum(descriptor) = declared.what else {
            continue;
        };
        let mut numbers = HashSet::new();
        let mut variants = HashMap::new();
        for (index, value) in descriptor.value.iter().enumerate() {
            // An alias has no variant.
            if !numbers.insert(value.number()) {
                continue;
            }
            let variant = names::variant(value.name(), declared.name);
            if let Some(other) = variants.insert(variant.clone(), value.name()) {
                let (name, value) = (declared.name, value.name());
                let index = i32::try_from(index).unwrap_or(-1);
                let path: Vec<_> = declared.path.iter().copied().chain([2, index]).collect();
                return Err(Error::at(
                    schemas::place(declared.file, &path),
                    format!(
                        "two values of {name} are both named {variant} in Rust: {other}, {value}"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// A message or an enum, and where it is.
struct Declared<'a> {
    file: &'a FileDescriptorProto,
    path: Vec<i32>,
    name: &'a str,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Enum(&'a EnumDescriptorProto),
    Message(&'a DescriptorProto),
}

impl<'a> Declared<'a> {
    fn all(files: &[&'a FileDescriptorProto]) -> Vec<Self> {
        let mut out = Vec::new();
        for file in files {
            let mut found = Vec::new();
            add(
                &mut found,
                file,
                &[],
                (4, &file.message_type),
                (5, &file.enum_type),
            );
            out.extend(found);
        }
        out
    }

    fn place(&self) -> Place {
        schemas::place(self.file, &self.path)
    }

    /// Whether Rust's name may come from this one: all conversions keep letters and digits.
    fn is_like(&self, ident: &Ident) -> bool {
        bare(self.name) == bare(&ident.to_string())
    }

    fn has_fields(&self, tags: [Option<i32>; 2]) -> bool {
        let What::Message(message) = self.what else {
            return false;
        };
        let has = |tag: i32| message.field.iter().any(|field| field.number() == tag);
        tags.into_iter().flatten().all(has)
    }
}

fn add<'a>(
    out: &mut Vec<Declared<'a>>,
    file: &'a FileDescriptorProto,
    path: &[i32],
    (message_field, messages): (i32, &'a [DescriptorProto]),
    (enum_field, enums): (i32, &'a [EnumDescriptorProto]),
) {
    let path_of = |field, index| {
        let index = i32::try_from(index).unwrap_or(-1);
        path.iter()
            .copied()
            .chain([field, index])
            .collect::<Vec<_>>()
    };
    for (index, e) in enums.iter().enumerate() {
        out.push(Declared {
            file,
            path: path_of(enum_field, index),
            name: e.name(),
            what: What::Enum(e),
        });
    }
    for (index, message) in messages.iter().enumerate() {
        let path = path_of(message_field, index);
        add(
            out,
            file,
            &path,
            (3, &message.nested_type),
            (4, &message.enum_type),
        );
        out.push(Declared {
            file,
            path,
            name: message.name(),
            what: What::Message(message),
        });
    }
}

fn bare(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}
