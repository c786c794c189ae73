//! From the model to Rust. Every emitter is a function of the schema, and knows the modules that its
//! code is for.

mod descriptors;
mod docs;
mod extensions;
mod json;
mod messages;
mod services;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemMod};

pub(crate) use descriptors::DescriptorSets;
#[cfg(feature = "command")]
pub(crate) use messages::can_pack;

use crate::{
    Config, Error,
    config::Stage,
    names::{self, Taken},
    schema::{Enum, File, Message, Schema, TypePath, Views, module_of},
};

/// The code of a package.
pub(crate) struct Package<'a> {
    pub(crate) name: String,
    /// The names of the files that it is from.
    pub(crate) sources: BTreeSet<&'a str>,
    pub(crate) code: syn::File,
}

/// The code of all packages that have any.
pub(crate) fn packages<'a>(
    schema: &'a Schema,
    descriptors: &DescriptorSets<'_>,
    config: &Config,
) -> Result<Vec<Package<'a>>, Error> {
    let mut modules = Modules::new(schema, config);
    let wanted = || schema.files.iter().filter(|file| file.wanted);
    let total = wanted().count();
    for (file, done) in wanted().zip(1..) {
        modules.add_types(file);
        config.report(Stage::Generated, done, total);
    }
    let import = names::import_from_crate(config)?;
    let names = modules.all;
    let mut out = Vec::new();
    for (path, mut module) in modules.found {
        if config.json && !module.messages.is_empty() {
            module
                .items
                .push(json::register_types(&module.messages, &path));
        }
        let mut taken = Taken::of_items(&module.items);
        let inner = names
            .keys()
            .filter(|name| name.len() > path.len() && name.starts_with(&path));
        inner.for_each(|name| drop(taken.claim(&name[path.len()])));
        let services = module.files.iter().flat_map(|file| &file.services);
        for service in services.filter(|_| config.server || config.client) {
            module.items.extend(services::items(
                service,
                &path,
                &schema.views,
                config,
                &mut taken,
            ));
        }
        if config.descriptor_set && !module.files.is_empty() {
            let files = module.files.iter().map(|file| file.name.as_str());
            module.items.push(descriptors.item(files)?);
        }
        module.items.iter_mut().for_each(names::allow_lints);
        out.push(Package {
            name: module.name,
            sources: module.sources,
            code: syn::File {
                items: import.iter().cloned().chain(module.items).collect(),
                ..syn::parse_quote!()
            },
        });
    }
    Ok(out)
}

/// The module of a package.
#[derive(Default)]
struct Module<'a> {
    name: String,
    sources: BTreeSet<&'a str>,
    /// The wanted files of the package.
    files: Vec<&'a File>,
    items: Vec<Item>,
    /// Those of the package, wherever their code is.
    messages: Vec<&'a TypePath>,
}

/// The modules of all packages, while their code is written.
struct Modules<'a, 'c> {
    config: &'c Config,
    views: &'a Views,
    /// All modules of packages, and the modules around them, with their names in Protobuf.
    all: BTreeMap<Vec<String>, String>,
    found: BTreeMap<Vec<String>, Module<'a>>,
}

impl<'a, 'c> Modules<'a, 'c> {
    fn new(schema: &'a Schema, config: &'c Config) -> Self {
        let mut out = Self {
            config,
            views: &schema.views,
            all: BTreeMap::new(),
            found: BTreeMap::new(),
        };
        for file in schema.files.iter().filter(|file| has_code(file, config)) {
            let path = module_of(&file.package);
            let mut name = file.package.as_str();
            for len in (1..=path.len()).rev() {
                out.all.insert(path[..len].to_vec(), name.to_owned());
                name = name.rsplit_once('.').map_or("", |(outer, _)| outer);
            }
            let module = out.found.entry(path).or_default();
            module.name.clone_from(&file.package);
            module.sources.insert(&file.name);
            module.files.push(file);
        }
        out
    }

    fn add_types(&mut self, file: &'a File) {
        let scope = module_of(&file.package);
        let mut items = Vec::new();
        if self.config.well_known_json {
            json::well_known(file, &scope, &mut items);
        } else if self.config.messages {
            for message in &file.messages {
                items.extend(self.message(message, file, &scope));
            }
            items.extend(file.enums.iter().flat_map(|e| self.enumeration(e, &scope)));
            items.extend(file.extensions.iter().map(|e| extensions::item(e, &scope)));
        }
        if let Some(module) = self.found.get_mut(&scope) {
            module.items.append(&mut items);
        }
    }

    fn message(&mut self, message: &'a Message, file: &'a File, scope: &[String]) -> Vec<Item> {
        if message.path.is_extern() {
            return Vec::new();
        }
        if let Some(module) = self.found.get_mut(&module_of(&file.package)) {
            module.messages.push(&message.path);
        }
        let mut items = vec![messages::message(message, scope)];
        if message.keeps_unknown {
            items.push(messages::keep(message, scope));
        }
        if self.config.json {
            items.push(json::message(message, scope));
        }
        items.extend(views::message(message, self.views, scope));
        if let Some(module) = message.module() {
            items.extend(self.nested(message, file, [scope, &[module]].concat()));
        }
        items.push(messages::name(message, &file.package));
        items
    }

    /// The module of what is in a message; none if it is that of a package too, whose code has it then.
    fn nested(&mut self, message: &'a Message, file: &'a File, scope: Vec<String>) -> Option<Item> {
        let mut items = Vec::new();
        for nested in &message.messages {
            items.extend(self.message(nested, file, &scope));
        }
        items.extend(
            message
                .enums
                .iter()
                .flat_map(|e| self.enumeration(e, &scope)),
        );
        items.extend(
            message
                .extensions
                .iter()
                .map(|e| extensions::item(e, &scope)),
        );
        let oneofs = message.oneofs.iter().enumerate();
        items.extend(oneofs.flat_map(|(at, oneof)| {
            let view = views::oneof(message, at, oneof, self.views, &scope);
            [messages::oneof(message, at, oneof, &scope)]
                .into_iter()
                .chain(view)
        }));
        if items.is_empty() {
            return None;
        }
        if let Some(name) = self.all.get(&scope) {
            let module = self.found.entry(scope).or_default();
            module.name.clone_from(name);
            module.sources.insert(&file.name);
            module.items.append(&mut items);
            return None;
        }
        let ident = names::identifier(scope.last()?);
        let about = format!(" Nested message and enum types in `{}`.", message.name);
        let mut module: ItemMod = syn::parse_quote!(#[doc = #about] pub mod #ident {});
        items.insert(0, names::import_from_parent());
        module.content = module.content.map(|(brace, _)| (brace, items));
        Some(Item::Mod(module))
    }

    fn enumeration(&self, enumeration: &Enum, scope: &[String]) -> Vec<Item> {
        if enumeration.path.is_extern() {
            return Vec::new();
        }
        let (item, names) = messages::enumeration(enumeration);
        let json = self
            .config
            .json
            .then(|| json::enumeration(enumeration, scope));
        [item].into_iter().chain(json).chain([names]).collect()
    }
}

/// Whether anything is generated for a file.
fn has_code(file: &File, config: &Config) -> bool {
    let messages = file
        .messages
        .iter()
        .any(|message| !message.path.is_extern());
    let enums = file.enums.iter().any(|e| !e.path.is_extern());
    let items = messages || enums || !file.extensions.is_empty();
    let types = config.well_known_json || config.messages && items;
    let services = (config.server || config.client) && !file.services.is_empty();
    file.wanted && (types || services)
}
