//! What exists in Rust already, as prost-build wants to know it.

use std::collections::BTreeMap;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::{Config, Error, names, schemas};

/// The configured paths, with the one for all packages taken apart, which prost-build does not know.
pub(crate) fn all(
    set: &FileDescriptorSet,
    config: &Config,
) -> Result<Vec<(String, String)>, Error> {
    let mut out = Vec::new();
    let mut everything = None;
    for (proto, rust) in &config.extern_paths {
        if !rust.starts_with("::") && !rust.starts_with("crate::") && rust != "crate" {
            return Err(Error::new(format!(
                "extern_path {rust:?} must start with `::` or `crate`, as it is used in modules of any depth"
            )));
        }
        if proto == "." {
            everything = Some(rust);
        } else {
            out.push((proto.clone(), rust.clone()));
        }
    }
    if let Some(rust) = everything {
        let mut tops = BTreeMap::new();
        for file in &set.file {
            tops.extend(tops_of(file, rust));
        }
        tops.retain(|proto, _| out.iter().all(|(given, _)| given != proto));
        out.extend(tops);
    }
    Ok(out)
}

/// The outermost names of a file: its package's first part, or the types of no package.
fn tops_of(file: &FileDescriptorProto, rust: &str) -> Vec<(String, String)> {
    if let Some(top) = file.package().split('.').find(|part| !part.is_empty()) {
        // prost-build makes a module of it.
        return vec![(format!(".{top}"), format!("{rust}::{top}"))];
    }
    let messages = file.message_type.iter().map(|message| message.name());
    let enums = file.enum_type.iter().map(|e| e.name());
    let types = messages.chain(enums);
    types
        .map(|name| {
            (
                format!(".{name}"),
                format!("{rust}::{}", names::type_name(name)),
            )
        })
        .collect()
}

/// Without messages, each that a service names must exist.
pub(crate) fn check_services(files: &[&FileDescriptorProto], config: &Config) -> Result<(), Error> {
    for file in files {
        for (at, service) in file.service.iter().enumerate() {
            for (method_at, method) in service.method.iter().enumerate() {
                let mut types = [method.input_type(), method.output_type()].into_iter();
                if let Some(missing) = types.find(|name| !is_extern(name, config)) {
                    let path = [at, method_at].map(|index| i32::try_from(index).unwrap_or(-1));
                    let place = schemas::place(file, &[SERVICE, path[0], METHOD, path[1]]);
                    return Err(Error::at(
                        place,
                        format!(
                            "{} names {missing}, but messages are not generated and no extern_path covers it",
                            method.name()
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}

fn is_extern(name: &str, config: &Config) -> bool {
    let mut given = config.extern_paths.iter();
    names::covers(".google.protobuf", name) || given.any(|(proto, _)| names::covers(proto, name))
}

/// The field of `FileDescriptorProto`.
const SERVICE: i32 = 6;
/// The field of `ServiceDescriptorProto`.
const METHOD: i32 = 2;
