//! From descriptors to files.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use proc_macro2::Literal;
use prost_build::Module;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, field_descriptor_proto::Label,
};
use syn::Item;

use crate::{
    Config, Error, collisions, docs, extern_paths,
    layout::{self, GeneratedFile, Package},
    model::Model,
    names,
    schemas::{self, Schemas},
    service::{self, Services},
    transform::Transform,
    well_known,
};

/// Generates the code of all packages that have a file in `to_generate`, and what makes a tree of
/// modules of them.
///
/// The set must hold every imported file too. The result is the same for the same files, in
/// whichever order they are, and sorted by name.
///
/// # Errors
/// If a file uses editions, which prost does not know; if a name in `to_generate` is not in the set;
/// if an option of the configuration is no Rust; if names of the `.proto` files collide in Rust; if a
/// service names a message that is neither generated nor an [`add_extern_path`](Config::add_extern_path).
pub fn generate(
    set: &FileDescriptorSet,
    to_generate: &[impl AsRef<str>],
    config: &Config,
) -> Result<Vec<GeneratedFile>, Error> {
    generate_from(Schemas::new(set), to_generate, config)
}

/// As [`generate`], with custom options in the descriptors that are embedded.
pub(crate) fn generate_from(
    schemas: Schemas<'_>,
    to_generate: &[impl AsRef<str>],
    config: &Config,
) -> Result<Vec<GeneratedFile>, Error> {
    let set = schemas.set;
    let wanted = wanted(set, to_generate)?;
    if !config.messages {
        extern_paths::check_services(&wanted, config)?;
    }
    if config.messages {
        collisions::check_enums(&wanted)?;
    }
    let model = Model::new(&set.file);
    let prost = prost_output(set, &wanted, config)?;
    let names: Vec<_> = prost.packages.keys().cloned().collect();
    collisions::check_packages(&names)?;
    let mut packages = BTreeMap::new();
    for (name, text) in &prost.packages {
        let of_package = |file: &&&FileDescriptorProto| file.package() == name;
        let package = PackageFile {
            name,
            sources: wanted.iter().filter(of_package).copied().collect(),
            schemas,
            config,
            model: &model,
            inner: layout::modules_in(name, &names),
        };
        let services = prost.services.take(name);
        packages.insert(name.as_str(), package.generate(text, &services)?);
    }
    Ok(layout::files(&packages, config))
}

/// The files to generate, sorted by name, if all are there and of a kind that we know.
fn wanted<'a>(
    set: &'a FileDescriptorSet,
    to_generate: &[impl AsRef<str>],
) -> Result<Vec<&'a FileDescriptorProto>, Error> {
    for file in &set.file {
        if !matches!(file.syntax(), "" | "proto2" | "proto3") {
            let syntax = file.syntax();
            // The statement is found under `edition`, unless a parser knows `syntax` only.
            let place = [EDITION, SYNTAX].map(|field| schemas::place(file, &[field]));
            let [edition, other] = place;
            let place = if edition.position.is_some() {
                edition
            } else {
                other
            };
            let message = format!("{syntax} are not supported, only syntax proto2 and proto3");
            return Err(Error::at(place, message));
        }
    }
    let names: BTreeSet<_> = to_generate.iter().map(AsRef::as_ref).collect();
    let find = |name: &str| {
        let found = set.file.iter().find(|file| file.name() == name);
        found.ok_or_else(|| Error::new(format!("{name} is not among the descriptors")))
    };
    names.into_iter().map(find).collect()
}

/// What prost-build makes of the files.
struct ProstOutput {
    /// The code of messages and enums, by package.
    packages: BTreeMap<String, String>,
    services: Services,
}

fn prost_output(
    set: &FileDescriptorSet,
    wanted: &[&FileDescriptorProto],
    config: &Config,
) -> Result<ProstOutput, Error> {
    let services = Services::default();
    let mut prost = prost_config(set, config)?;
    if config.server || config.client {
        prost.service_generator(Box::new(services.clone()));
    }
    let is_wanted = |file: &FileDescriptorProto| wanted.iter().any(|w| w.name() == file.name());
    let mut files: Vec<_> = set.file.iter().collect();
    // Frontends have them in different orders.
    files.sort_by_key(|file| file.name());
    let requests = files
        .into_iter()
        .map(|file| request(file, is_wanted(file), config));
    let requests = requests.collect();
    // prost-build panics on what it does not expect.
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
fn request(
    file: &FileDescriptorProto,
    wanted: bool,
    config: &Config,
) -> (Module, FileDescriptorProto) {
    let key = if wanted { WANTED } else { IMPORTED };
    let mut file = file.clone();
    if !config.messages {
        file.message_type.clear();
        file.enum_type.clear();
    }
    docs::protect_comments(&mut file);
    (Module::from_parts([key, file.package()]), file)
}

fn prost_config(set: &FileDescriptorSet, config: &Config) -> Result<prost_build::Config, Error> {
    let mut prost = prost_build::Config::new();
    prost
        .format(false)
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .prost_path(format!("{}::prost", names::ROOT))
        .prost_types_path(format!("{}::prost_types", names::ROOT))
        .bytes(&config.bytes)
        .btree_map(ordered_maps(set, config));
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
    for (proto, rust) in extern_paths::all(set, config)? {
        prost.extern_path(proto, rust);
    }
    Ok(prost)
}

/// The paths of the map fields that are `BTreeMap`. prost-build has no option for `HashMap`, its
/// default, so the fields are named one by one where some are `HashMap`.
fn ordered_maps(set: &FileDescriptorSet, config: &Config) -> Vec<String> {
    if config.hash_maps.is_empty() {
        return vec![String::from(".")];
    }
    let mut out = Vec::new();
    for file in &set.file {
        let package = match file.package() {
            "" => String::new(),
            package => format!(".{package}"),
        };
        for message in &file.message_type {
            add_ordered_maps(message, &package, &config.hash_maps, &mut out);
        }
    }
    out
}

fn add_ordered_maps(
    message: &DescriptorProto,
    scope: &str,
    hash_maps: &[String],
    out: &mut Vec<String>,
) {
    let path = format!("{scope}.{}", message.name());
    let fields = message
        .field
        .iter()
        .filter(|field| field.label() == Label::Repeated);
    let fields = fields.map(|field| format!("{path}.{}", field.name()));
    out.extend(fields.filter(|field| !hash_maps.iter().any(|map| names::covers(map, field))));
    for nested in &message.nested_type {
        add_ordered_maps(nested, &path, hash_maps, out);
    }
}

/// The code of one package.
struct PackageFile<'a> {
    name: &'a str,
    sources: Vec<&'a FileDescriptorProto>,
    schemas: Schemas<'a>,
    config: &'a Config,
    model: &'a Model<'a>,
    /// The modules that the layout puts beside the code.
    inner: Vec<String>,
}

impl PackageFile<'_> {
    fn generate(&self, prost: &str, services: &[prost_build::Service]) -> Result<Package, Error> {
        let name = self.name;
        let file = syn::parse_file(prost).map_err(|error| {
            Error::new(format!(
                "package {name}: the code does not parse, check the attributes: {error}"
            ))
        })?;
        let mut parsed = file.items;
        parsed.retain(|item| !service::is_placeholder(item));
        collisions::check(&parsed, name, &self.sources)?;
        let mut transform = Transform::new(self.config, self.model);
        let mut items = transform.package(parsed, name)?;
        if self.config.well_known_json {
            items = well_known::json_only(items);
        } else if self.config.json && !transform.messages().is_empty() {
            items.push(register_types(transform.messages()));
        }
        self.add_services(services, &mut items)?;
        if self.config.descriptor_set {
            items.push(self.descriptor_set());
        }
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
        Ok(Package {
            sources: sources.join(", "),
            code: prettyplease::unparse(&file),
        })
    }

    fn descriptor_set(&self) -> Item {
        let bytes = self.schemas.descriptor_set(&self.sources);
        let bytes = Literal::byte_string(&bytes);
        syn::parse_quote! {
            /// The files of this package and all that they import, as an encoded
            /// `google.protobuf.FileDescriptorSet`.
            pub static FILE_DESCRIPTOR_SET: &[u8] = #bytes;
        }
    }

    fn add_services(
        &self,
        services: &[prost_build::Service],
        items: &mut Vec<Item>,
    ) -> Result<(), Error> {
        let mut taken = names::Taken::of_items(items);
        for module in &self.inner {
            taken.claim(module);
        }
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
/// Fields of `FileDescriptorProto`.
const SYNTAX: i32 = 12;
const EDITION: i32 = 14;
