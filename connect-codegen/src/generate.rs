//! From descriptors to files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Config, Error,
    descriptor::{FileDescriptor, FileSet},
    emit::{self, DescriptorSets},
    layout::{self, GeneratedFile, Package},
    nearest::nearest,
    schema::Schema,
};

/// Generates the code of all packages that have a file in `to_generate`, and what makes a tree of
/// modules of them.
///
/// `descriptor_set` is an encoded `google.protobuf.FileDescriptorSet`, as [`descriptors`](crate::descriptors),
/// `protoc --include_imports --include_source_info -o` and `buf build -o` make it. It must hold every
/// imported file too. The result is the same for the same files, in whichever order they are, and
/// sorted by name.
///
/// # Errors
/// If the set is none; if a file is of an edition later than 2024; if a name in `to_generate` is not in
/// the set; if an option of the configuration is no Rust, or has no effect on these files; if names of the `.proto` files collide in Rust;
/// if a service names a message that is neither generated nor an
/// [`add_extern_path`](Config::add_extern_path).
pub fn generate(
    descriptor_set: &[u8],
    to_generate: &[impl AsRef<str>],
    config: &Config,
) -> Result<Vec<GeneratedFile>, Error> {
    let files = FileSet::files(descriptor_set)?;
    let schema = read(&files, to_generate, config)?;
    schema.check_options()?;
    write(&schema, &files, config)
}

/// Makes the model of all files.
pub(crate) fn read(
    files: &[FileDescriptor],
    to_generate: &[impl AsRef<str>],
    config: &Config,
) -> Result<Schema, Error> {
    config.check()?;
    let wanted: BTreeSet<_> = to_generate.iter().map(AsRef::as_ref).collect();
    let names: BTreeSet<_> = files.iter().map(|file| file.file.name()).collect();
    if let Some(missing) = wanted.difference(&names).next() {
        let error = Error::new(format!("{missing} is not among the descriptors"));
        return Err(match nearest(missing, names.iter().copied()) {
            Some(near) => error.with_help(format!("did you mean {near}?")),
            None => error,
        });
    }
    let schema = Schema::new(files, &wanted, config)?;
    if !config.messages {
        check_services(&schema)?;
    }
    Ok(schema)
}

/// Writes the code of all wanted files.
pub(crate) fn write(
    schema: &Schema,
    files: &[FileDescriptor],
    config: &Config,
) -> Result<Vec<GeneratedFile>, Error> {
    let packages = emit::packages(schema, &DescriptorSets::new(files), config)?;
    let packages = packages.into_iter().map(|package| {
        let sources: Vec<_> = package.sources.into_iter().collect();
        let written = Package {
            sources: sources.join(", "),
            code: package.code.into_text(),
        };
        (package.name, written)
    });
    Ok(layout::files(&packages.collect::<BTreeMap<_, _>>(), config))
}

/// Without messages, each that a service names must exist.
fn check_services(schema: &Schema) -> Result<(), Error> {
    let files = schema.files.iter().filter(|file| file.wanted);
    let services = files.flat_map(|file| &file.services);
    let methods = services.flat_map(|service| &service.methods);
    let missing = methods.flat_map(|method| {
        let types = [&method.input, &method.output].into_iter();
        let missing = types.filter(|to| !to.path.is_extern());
        missing.map(|to| {
            let (name, to) = (&method.name, &to.full_name);
            let text = format!("{name} names .{to}, but messages are not generated");
            Error::at(method.source.place.clone(), text).with_help(format!(
                "say where it is: extern_path=.{to}=::path::of::the_type"
            ))
        })
    });
    Error::all(missing)
}
