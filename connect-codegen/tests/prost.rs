//! Messages, oneofs and enums are those of prost-build: names, types, derives and attributes, compared as
//! syntax trees. So whoever comes from prost-build changes nothing.
//!
//! Not compared: documentation, `Debug` of ordered maps, how a float's default is spelled.
//!
//! The schemas are those of this repository, and those of `CODEGEN_SCHEMAS`: directories, separated by
//! colons, from which imports start.

mod support;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use connect_codegen::{Config, descriptors, generate};
use prost::Message as _;
use prost_build::Module;
use prost_types::FileDescriptorSet;
use quote::ToTokens as _;
use support::names_in;
use syn::{
    AngleBracketedGenericArguments, Attribute, Item, LitStr, Token,
    parse::ParseStream,
    punctuated::Punctuated,
    visit_mut::{self, VisitMut},
};

/// The items of each module, sorted, as text.
type Modules = BTreeMap<String, Vec<String>>;

/// The same settings for both.
struct Settings {
    ours: Config,
    theirs: fn(&mut prost_build::Config),
}

fn settings() -> Vec<Settings> {
    let ours = Config::new()
        .with_json(false)
        .with_server(false)
        .with_client(false)
        .with_descriptor_set(false);
    let attributes = ["#[derive(PartialOrd)]", "#[doc(alias = \"x\")]"];
    vec![
        Settings {
            ours: ours.clone(),
            theirs: |config| {
                config.bytes(["."]).btree_map(["."]);
            },
        },
        Settings {
            ours: ours
                .with_bytes([".shapes.v1.Legacy"])
                .add_hash_map(".")
                .add_boxed(".shapes.v1.Shape.extra")
                .add_boxed(".shapes.v1.Shape.origin.machine")
                .add_type_attribute(".shapes.v1", attributes[0])
                .add_type_attribute(".shapes.v1.Shape.origin", attributes[1])
                .add_field_attribute(".shapes.v1.Shape", attributes[1])
                .add_extern_path(".shapes.v1.Side", "::elsewhere::Edge")
                .add_extern_path(".Deep", "crate::deep"),
            theirs: |config| {
                config
                    .bytes([".shapes.v1.Legacy"])
                    .boxed(".shapes.v1.Shape.extra")
                    .boxed(".shapes.v1.Shape.origin.machine")
                    .type_attribute(".shapes.v1", "#[derive(PartialOrd)]")
                    .type_attribute(".shapes.v1.Shape.origin", "#[doc(alias = \"x\")]")
                    .field_attribute(".shapes.v1.Shape", "#[doc(alias = \"x\")]")
                    .extern_path(".shapes.v1.Side", "::elsewhere::Edge")
                    .extern_path(".Deep", "crate::deep");
            },
        },
    ]
}

#[test]
fn every_schema_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (include, files) in [
        ("connect-codegen/check/proto", 6),
        ("connect-codec/tests/proto", 2),
        ("connect-codec/proto", 2),
        ("connect-health/proto", 1),
        ("connect-reflection/proto", 2),
        ("conformance/suite/proto", 0),
        ("examples/eliza/proto", 1),
    ] {
        let include = root.join(include);
        let mut found = protos(&include);
        // A package beside a message: prost-build's code does not compile (E0428).
        let is_shop = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("shop");
        found.retain(|file| !file.file_name().is_some_and(is_shop));
        assert!(found.len() >= files, "{}", include.display());
        if !found.is_empty() {
            let set = descriptors(&found, &[&include]).unwrap();
            // The second settings are of types of the first directory.
            let count = if include.ends_with("check/proto") {
                2
            } else {
                1
            };
            for settings in &settings()[..count] {
                assert_same(&set, settings);
            }
        }
    }
}

#[test]
fn every_schema_that_is_given() {
    let given = env::var_os("CODEGEN_SCHEMAS").unwrap_or_default();
    let mut compared = 0;
    for include in env::split_paths(&given).filter(|path| path.is_dir()) {
        // What cannot be compiled together is compiled by itself.
        let mut directories: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for file in protos(&include)
            .into_iter()
            .filter(|file| !is_of_an_edition(file))
        {
            let dir = file.parent().unwrap().to_owned();
            directories.entry(dir).or_default().push(file);
        }
        for (dir, files) in directories {
            let sets = match descriptors(&files, &[&include]) {
                Ok(set) => vec![set],
                Err(_) => files
                    .iter()
                    .filter_map(|file| descriptors(&[file], &[&include]).ok())
                    .collect(),
            };
            for set in sets.into_iter().filter(|set| !has_editions(set)) {
                println!("{}", dir.display());
                compared += names_in(&set).len();
                assert_same(&set, &settings()[0]);
            }
        }
    }
    println!("{compared} files are the same");
}

/// Editions are not known to prost-build: there is nothing to compare with.
fn is_of_an_edition(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap();
    text.lines().any(|line| line.starts_with("edition = "))
}

/// Whether any file is of an edition, be it one that is imported.
fn has_editions(set: &[u8]) -> bool {
    let files = FileDescriptorSet::decode(set).unwrap().file;
    files.iter().any(|file| file.syntax() == "editions")
}

/// All `.proto` files below a directory.
fn protos(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "proto") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

#[track_caller]
fn assert_same(set: &[u8], settings: &Settings) {
    let (ours, theirs) = (ours(set, &settings.ours), theirs(set, settings.theirs));
    for (module, theirs) in &theirs {
        let ours = ours.get(module).map_or(&[][..], Vec::as_slice);
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours, theirs, "module {module}");
        }
        assert_eq!(ours.len(), theirs.len(), "module {module}");
    }
    let names = |modules: &Modules| modules.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
}

fn ours(set: &[u8], config: &Config) -> Modules {
    let mut modules = Modules::new();
    for file in generate(set, &names_in(set), config).unwrap() {
        if file.name != "_protos.rs" {
            let package = file.name.trim_end_matches(".rs").trim_matches('_');
            let module = Module::from_protobuf_package_name(package);
            add(&mut modules, &module.to_string(), &file.content);
        }
    }
    sorted(modules)
}

fn theirs(set: &[u8], configure: fn(&mut prost_build::Config)) -> Modules {
    let mut config = prost_build::Config::new();
    config
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .prost_path("connect_rs::prost")
        .prost_types_path("connect_rs::prost_types");
    configure(&mut config);
    let mut files = FileDescriptorSet::decode(set).unwrap().file;
    files.sort_by(|a, b| a.name().cmp(b.name()));
    let requests = files.into_iter().map(|mut file| {
        // It has no use of comments here, and needs some to be where they are.
        file.source_code_info = None;
        (Module::from_protobuf_package_name(file.package()), file)
    });
    let mut modules = Modules::new();
    for (module, text) in config.generate(requests.collect()).unwrap() {
        add(&mut modules, &module.to_string(), &text);
    }
    sorted(modules)
}

fn add(modules: &mut Modules, module: &str, text: &str) {
    let mut file =
        syn::parse_file(text).unwrap_or_else(|error| panic!("{module}: {error}: {text}"));
    Plain.visit_file_mut(&mut file);
    add_items(modules, module, file.items);
}

fn add_items(modules: &mut Modules, module: &str, items: Vec<Item>) {
    for item in items {
        match item {
            Item::Use(_) => {}
            Item::Mod(inner) => {
                let name = format!("{module}::{}", inner.ident);
                let name = name.trim_start_matches("::");
                add_items(modules, name, inner.content.unwrap().1);
            }
            item => {
                let item = names_of(&item).unwrap_or(item);
                // In the module of a package beside a message, prost-build goes out and in again.
                let (_, last) = module.rsplit_once("::").unwrap_or(("", module));
                let detour = format!("super :: {last} :: ");
                let text = item.to_token_stream().to_string().replace(&detour, "");
                // A last comma, as rustfmt has it in long derives.
                let text = text.replace(" ,)", ")");
                modules.entry(module.to_owned()).or_default().push(text);
            }
        }
    }
}

/// What the macro of a message's names stands for.
fn names_of(item: &Item) -> Option<Item> {
    let Item::Macro(item) = item else { return None };
    let parts = |input: ParseStream<'_>| {
        let message: syn::Path = input.parse()?;
        input.parse::<Token![=]>()?;
        let names = Punctuated::<LitStr, Token![,]>::parse_terminated(input)?;
        Ok((message, names))
    };
    let (message, names) = item.mac.parse_body_with(parts).unwrap();
    let (full_name, package, name) = (&names[0], &names[1], &names[2]);
    let url = format!("type.googleapis.com/{}", full_name.value());
    Some(syn::parse_quote! {
        impl connect_rs::prost::Name for #message {
            const NAME: &'static str = #name;
            const PACKAGE: &'static str = #package;
            fn full_name() -> connect_rs::prost::alloc::string::String {
                #full_name.into()
            }
            fn type_url() -> connect_rs::prost::alloc::string::String {
                #url.into()
            }
        }
    })
}

fn sorted(mut modules: Modules) -> Modules {
    modules.values_mut().for_each(|items| items.sort());
    modules
}

/// Makes equal what is not compared.
struct Plain;

impl VisitMut for Plain {
    /// A comma at the end shows but where a line was broken.
    fn visit_angle_bracketed_generic_arguments_mut(
        &mut self,
        arguments: &mut AngleBracketedGenericArguments,
    ) {
        arguments.args.pop_punct();
        visit_mut::visit_angle_bracketed_generic_arguments_mut(self, arguments);
    }

    /// Whether a long value stands in braces is a matter of format.
    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        visit_mut::visit_arm_mut(self, arm);
        if let syn::Expr::Block(block) = arm.body.as_ref() {
            if let [syn::Stmt::Expr(value, None)] = block.block.stmts.as_slice() {
                let value = value.clone();
                *arm.body = value;
                arm.comma = Some(<Token![,]>::default());
            }
        }
    }

    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| {
            let text = attribute.to_token_stream().to_string().replace(' ', "");
            let is_doc = text.starts_with("#[doc=");
            let is_debug = ["#[derive(::core::fmt::Debug)]", "#[prost(skip_debug)]"];
            !(is_doc || text.starts_with("#[allow(") || is_debug.contains(&text.as_str()))
        });
        for attribute in attributes {
            let text = attribute.to_token_stream().to_string();
            let float = text.contains("(float ,") || text.contains("(double ,");
            if let (true, Some((head, default))) = (float, text.split_once("default = \"")) {
                let (default, tail) = default.split_once('"').unwrap();
                let default: f64 = default.parse().unwrap();
                // As many digits as a `float` has in all spellings.
                let text = format!("{head}default = \"{default:.5e}\"{tail}");
                let parsed = syn::parse::Parser::parse_str(Attribute::parse_outer, &text);
                *attribute = parsed.unwrap().remove(0);
            }
        }
    }
}
