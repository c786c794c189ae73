//! From the model to Rust. Every emitter is a function of the schema, and knows the modules that its
//! code is for.

mod descriptors;
mod docs;
mod extensions;
mod json;
pub(crate) mod messages;
mod services;
mod views;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use descriptors::DescriptorSets;
pub(crate) use services::ServiceCode;

use crate::{
    Config, Error,
    code::Code,
    config::Stage,
    names::{self, Taken},
    schema::{Enum, Extension, File, Message, Schema, TypePath, Views, module_of},
};

/// The code of a package.
pub(crate) struct Package<'a> {
    pub(crate) name: String,
    /// The names of the files that it is from.
    pub(crate) sources: BTreeSet<&'a str>,
    pub(crate) code: Code,
    pub(crate) services: Vec<ServiceCode<'a>>,
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
    let names = modules.all;
    let mut out = Vec::new();
    for (path, module) in modules.found {
        let scope = Scope {
            modules: path,
            is_nested: false,
        };
        let mut code = names::import_from_crate(config)?;
        code.append(&module.items.code);
        if config.json && !module.messages.is_empty() {
            json::register_types(&module.messages, &scope, &mut code);
        }
        let inner = names
            .keys()
            .filter_map(|name| name.strip_prefix(&*scope.modules)?.first());
        let own = module.items.names.iter().chain(inner);
        let mut taken = Taken::new(own.map(String::as_str).chain([names::ROOT]));
        let services = module.files.iter().flat_map(|file| &file.services);
        let services: Vec<_> = services
            .filter(|_| config.server || config.client)
            .map(|service| ServiceCode::new(service, &scope, &schema.views, config, &mut taken))
            .collect();
        services.iter().for_each(|s| s.write(config, &mut code));
        if config.descriptor_set && !module.files.is_empty() {
            let files = module.files.iter().map(|file| file.name.as_str());
            descriptors.write(files, &scope, &mut code)?;
        }
        out.push(Package {
            name: module.name,
            sources: module.sources,
            code,
            services,
        });
    }
    Ok(out)
}

/// The modules that code is for.
pub(crate) struct Scope {
    pub(crate) modules: Vec<String>,
    /// Whether they are within an item, whose allowances for lints hold for all that is in it.
    pub(crate) is_nested: bool,
}

impl Scope {
    /// A type as the code names it.
    fn path(&self, of: &TypePath) -> String {
        of.text(&self.modules)
    }

    /// What stands behind the documentation of an item.
    fn allow_lints(&self, code: &mut Code) {
        if !self.is_nested {
            code.lines(names::ALLOW);
        }
    }
}

/// The types of a module, and the modules of its messages.
#[derive(Default)]
struct Items {
    code: Code,
    names: Vec<String>,
}

/// The module of a package.
#[derive(Default)]
struct Module<'a> {
    name: String,
    sources: BTreeSet<&'a str>,
    /// The wanted files of the package.
    files: Vec<&'a File>,
    items: Items,
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
        let scope = Scope {
            modules: module_of(&file.package),
            is_nested: false,
        };
        let mut items = Items::default();
        if self.config.well_known_json {
            json::well_known(file, &scope, &mut items.code);
        } else if self.config.messages {
            for message in &file.messages {
                self.message(message, file, &scope, &mut items);
            }
            for enumeration in &file.enums {
                self.enumeration(enumeration, &scope, &mut items);
            }
            add_extensions(&file.extensions, &scope, &mut items);
        }
        self.add(&scope.modules, items);
    }

    /// Adds to the module of a package.
    fn add(&mut self, module: &[String], mut items: Items) {
        if let Some(module) = self.found.get_mut(module) {
            module.items.code.append(&items.code);
            module.items.names.append(&mut items.names);
        }
    }

    fn message(&mut self, message: &'a Message, file: &'a File, scope: &Scope, items: &mut Items) {
        if message.path.is_extern() {
            return;
        }
        if let Some(module) = self.found.get_mut(&module_of(&file.package)) {
            module.messages.push(&message.path);
        }
        items.names.push(message.path.name().to_owned());
        messages::message(message, scope, &mut items.code);
        messages::name(message, &file.package, &mut items.code);
        if message.keeps_unknown {
            messages::keep(message, scope, &mut items.code);
        }
        if self.config.json {
            json::message(message, scope, &mut items.code);
        }
        views::message(message, self.views, scope, &mut items.code);
        if let Some(module) = message.module() {
            self.nested(message, module, file, scope, items);
        }
    }

    /// The module of what is in a message; none if it is that of a package too, whose code has it then.
    fn nested(
        &mut self,
        message: &'a Message,
        module: String,
        file: &'a File,
        outer: &Scope,
        items: &mut Items,
    ) {
        let modules = [&*outer.modules, std::slice::from_ref(&module)].concat();
        let package = self.all.get(&modules).cloned();
        let scope = Scope {
            modules,
            is_nested: package.is_none(),
        };
        let mut inner = Items::default();
        if scope.is_nested {
            inner.code = items.code.inside();
        }
        for nested in &message.messages {
            self.message(nested, file, &scope, &mut inner);
        }
        for enumeration in &message.enums {
            self.enumeration(enumeration, &scope, &mut inner);
        }
        add_extensions(&message.extensions, &scope, &mut inner);
        for (at, oneof) in message.oneofs.iter().enumerate() {
            inner.names.push(oneof.path.name().to_owned());
            messages::oneof(message, at, oneof, &scope, &mut inner.code);
            views::oneof(message, at, self.views, &scope, &mut inner.code);
        }
        if inner.code.is_empty() {
            return;
        }
        if let Some(name) = package {
            let module = self.found.entry(scope.modules.clone()).or_default();
            module.name = name;
            module.sources.insert(&file.name);
            self.add(&scope.modules, inner);
            return;
        }
        let (name, code) = (&message.name, &mut items.code);
        code.line(format_args!(
            "/// Nested message and enum types in `{name}`."
        ));
        outer.allow_lints(code);
        code.block(format_args!("pub mod {module}"), |code| {
            names::import_from_parent(code);
            code.append(&inner.code);
        });
        items.names.push(module);
    }

    fn enumeration(&self, enumeration: &Enum, scope: &Scope, items: &mut Items) {
        if enumeration.path.is_extern() {
            return;
        }
        items.names.push(enumeration.path.name().to_owned());
        messages::enumeration(enumeration, scope, &mut items.code);
        messages::names(enumeration, scope, &mut items.code);
        if self.config.json {
            json::enumeration(enumeration, scope, &mut items.code);
        }
    }
}

fn add_extensions(extensions: &[Extension], scope: &Scope, items: &mut Items) {
    let code = &mut items.code;
    extensions
        .iter()
        .for_each(|extension| extensions::constant(extension, scope, code));
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
