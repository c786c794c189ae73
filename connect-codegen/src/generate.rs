//! From descriptors to files.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use prost_build::Module;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use syn::Item;

use crate::{
    Config, Error, docs, layout,
    model::Model,
    names,
    service::{self, Services},
    transform::Transform,
    well_known,
};

/// A file of generated code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GeneratedFile {
    /// Its name, without a directory: the package and `.rs`.
    pub name: String,
    /// Its whole text.
    pub content: String,
}

/// Generates the code of all packages that have a file in `to_generate`, and the file that includes
/// them as a tree of modules.
///
/// The set must hold every imported file too. The result is the same for the same input, and sorted
/// by name.
///
/// # Errors
/// If a file uses editions, which prost does not know; if a name in `to_generate` is not in the set;
/// if an option of the configuration is no Rust; if names of the `.proto` files collide in Rust.
pub fn generate(
    set: &FileDescriptorSet,
    to_generate: &[impl AsRef<str>],
    config: &Config,
) -> Result<Vec<GeneratedFile>, Error> {
    let wanted = wanted(set, to_generate)?;
    let model = Model::new(&set.file);
    let prost = prost_output(set, &wanted, config)?;
    let mut files = BTreeMap::new();
    for (package, text) in &prost.packages {
        let of_package =
            |file: &&FileDescriptorProto| file.package() == package && wanted.contains(file.name());
        let sources: Vec<_> = set.file.iter().filter(of_package).collect();
        let file = PackageFile {
            package,
            sources,
            config,
            model: &model,
        };
        let content = file.content(text, &prost.services.take(package))?;
        files.insert(layout::file_name(package), (package, content));
    }
    let packages = files.values().map(|(package, _)| package.as_str());
    let mut out = vec![GeneratedFile {
        name: config.include_file.clone(),
        content: layout::include_file(packages, config),
    }];
    out.extend(
        files
            .into_iter()
            .map(|(name, (_, content))| GeneratedFile { name, content }),
    );
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// The names of the files to generate, if all are there and of a kind that we know.
fn wanted<'a>(
    set: &FileDescriptorSet,
    to_generate: &'a [impl AsRef<str>],
) -> Result<BTreeSet<&'a str>, Error> {
    for file in &set.file {
        if !matches!(file.syntax(), "" | "proto2" | "proto3") {
            let (name, syntax) = (file.name(), file.syntax());
            return Err(Error::new(format!(
                "{name}: {syntax} are not supported, only syntax proto2 and proto3"
            )));
        }
    }
    let wanted: BTreeSet<_> = to_generate.iter().map(AsRef::as_ref).collect();
    match wanted
        .iter()
        .find(|name| !set.file.iter().any(|file| file.name() == **name))
    {
        Some(name) => Err(Error::new(format!("{name} is not among the descriptors"))),
        None => Ok(wanted),
    }
}

/// What prost-build makes of the files.
struct ProstOutput {
    /// The code of messages and enums, by package.
    packages: BTreeMap<String, String>,
    services: Services,
}

fn prost_output(
    set: &FileDescriptorSet,
    wanted: &BTreeSet<&str>,
    config: &Config,
) -> Result<ProstOutput, Error> {
    let services = Services::default();
    let mut prost = prost_config(config)?;
    if config.server || config.client {
        prost.service_generator(Box::new(services.clone()));
    }
    let requests = set
        .file
        .iter()
        .map(|file| request(file, wanted.contains(file.name())));
    let requests = requests.collect();
    // prost-build panics on names that collide.
    let output = catch_unwind(AssertUnwindSafe(|| prost.generate(requests)))
        .map_err(|panic| Error::new(format!("prost-build: {}", panic_text(panic.as_ref()))))?
        .map_err(|error| Error::new(format!("prost-build: {error}")))?;
    let output = output.into_iter().filter_map(|(module, text)| {
        let mut parts = module.parts();
        (parts.next() == Some(WANTED)).then(|| (parts.next().unwrap_or_default().to_owned(), text))
    });
    Ok(ProstOutput {
        packages: output.collect(),
        services,
    })
}

/// The "module" is only a key of prost's output: paths in the code come from the package. Files that
/// are not wanted get another one, as prost needs them but their code must not mix with the rest.
fn request(file: &FileDescriptorProto, wanted: bool) -> (Module, FileDescriptorProto) {
    let key = if wanted { WANTED } else { IMPORTED };
    let mut file = file.clone();
    docs::protect_comments(&mut file);
    (Module::from_parts([key, file.package()]), file)
}

fn prost_config(config: &Config) -> Result<prost_build::Config, Error> {
    let mut prost = prost_build::Config::new();
    prost
        .format(false)
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .prost_path(format!("{}::prost", names::ROOT))
        .prost_types_path(format!("{}::prost_types", names::ROOT))
        .bytes(&config.bytes)
        .btree_map(&config.btree_maps);
    if config.well_known_json {
        prost.compile_well_known_types();
    }
    for path in &config.boxed {
        prost.boxed(path);
    }
    for (path, attribute) in &config.type_attributes {
        prost.type_attribute(path, attribute);
    }
    for (path, attribute) in &config.field_attributes {
        prost.field_attribute(path, attribute);
    }
    for (proto, rust) in &config.extern_paths {
        if !rust.starts_with("::") && !rust.starts_with("crate::") {
            return Err(Error::new(format!(
                "extern_path {rust:?} must start with `::` or `crate::`, as it is used in modules of any depth"
            )));
        }
        prost.extern_path(proto, rust);
    }
    Ok(prost)
}

/// The file of one package.
struct PackageFile<'a> {
    package: &'a str,
    sources: Vec<&'a FileDescriptorProto>,
    config: &'a Config,
    model: &'a Model<'a>,
}

impl PackageFile<'_> {
    fn content(&self, prost: &str, services: &[prost_build::Service]) -> Result<String, Error> {
        let file = syn::parse_file(prost).map_err(|error| {
            let package = self.package;
            Error::new(format!(
                "package {package}: the code does not parse, check the attributes: {error}"
            ))
        })?;
        let mut parsed = file.items;
        parsed.retain(|item| !service::is_placeholder(item));
        let mut transform = Transform::new(self.config, self.model);
        let mut items = transform.package(parsed, self.package)?;
        if self.config.well_known_json {
            items = well_known::json_only(items);
        } else if self.config.json && !transform.messages().is_empty() {
            items.push(register_types(transform.messages()));
        }
        self.add_services(services, &mut items)?;
        for item in &mut items {
            names::allow_lints(item);
        }
        if let Some(import) = names::import_from_crate(self.config)? {
            items.insert(0, import);
        }
        let file = syn::File {
            items,
            ..syn::parse_quote!()
        };
        let sources: Vec<_> = self.sources.iter().map(|file| file.name()).collect();
        let sources = sources.join(", ");
        let body = prettyplease::unparse(&file);
        Ok(format!(
            "// @generated by connect-codegen from {sources}. Do not edit.\n\n{body}"
        ))
    }

    fn add_services(
        &self,
        services: &[prost_build::Service],
        items: &mut Vec<Item>,
    ) -> Result<(), Error> {
        let mut taken = names::Taken::of_items(items);
        for service in services {
            let name = &service.proto_name;
            let mut wanted = self.sources.iter().flat_map(|file| &file.service);
            if wanted.any(|wanted| wanted.name() == name) {
                items.extend(service::items(service, self.config, &mut taken)?);
            }
        }
        Ok(())
    }
}

fn register_types(messages: &[syn::Path]) -> Item {
    let json = names::json();
    syn::parse_quote! {
        /// Registers the messages of this package, so that a `google.protobuf.Any` that holds one has
        /// a JSON form.
        pub fn register_types(types: &mut #json::TypeRegistry) {
            #(types.register::<#messages>();)*
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    match panic.downcast_ref::<String>() {
        Some(text) => text,
        None => panic.downcast_ref::<&str>().copied().unwrap_or("panicked"),
    }
}

const WANTED: &str = "wanted";
const IMPORTED: &str = "imported";
