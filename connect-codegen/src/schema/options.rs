//! The options of the configuration that have paths of elements: what each says of an element, and
//! whether it says it of any.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use syn::{Attribute, parse::Parser as _};

use super::names::{camel, snake};
use crate::{Config, Error, names::ROOT, nearest::nearest};

/// What the configuration says of elements.
///
/// An element is asked for by its full name with a leading dot. A member of a oneof has two: with the
/// name of the oneof, and without.
pub(super) struct Options {
    extern_paths: PathOption<String>,
    bytes: PathOption<()>,
    hash_maps: PathOption<()>,
    boxed: PathOption<()>,
    views: PathOption<()>,
    unknown_fields: PathOption<()>,
    type_attributes: PathOption<String>,
    field_attributes: PathOption<String>,
}

impl Options {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let flags = |paths: &[String]| paths.iter().map(|path| (path.clone(), ())).collect();
        for (_, rust) in &config.extern_paths {
            check_extern_path(rust)?;
        }
        let type_attributes = attributes("type_attribute", &config.type_attributes)?;
        let field_attributes = attributes("field_attribute", &config.field_attributes)?;
        Ok(Self {
            extern_paths: PathOption::new(
                ("extern_path", "package or type"),
                config.extern_paths.clone(),
            )?,
            bytes: PathOption::new(("bytes", "field of type bytes"), flags(&config.bytes))?,
            hash_maps: PathOption::new(("hash_map", "map field"), flags(&config.hash_maps))?,
            boxed: PathOption::new(("boxed", "message field"), flags(&config.boxed))?,
            views: PathOption::new(("view", "message or method"), flags(&config.views))?,
            unknown_fields: PathOption::new(
                ("unknown_fields", "message"),
                flags(&config.unknown_fields),
            )?,
            type_attributes: PathOption::new(
                ("type_attribute", "message, enum or oneof"),
                type_attributes,
            )?,
            field_attributes: PathOption::new(
                ("field_attribute", "field or value of an enum"),
                field_attributes,
            )?,
        })
    }

    /// Where a type is that is not generated. The closest path wins.
    pub(super) fn extern_path(&self, full_name: &str) -> Option<String> {
        let names = [full_name];
        let given = self.extern_paths.of(&names);
        let given = given.map(|(path, rust)| (path, rust.clone()));
        let of_prost = WELL_KNOWN
            .iter()
            .filter(|(path, _)| covers(path, full_name));
        let of_prost = of_prost.map(|(path, rust)| (*path, rust.replace("ROOT", ROOT)));
        let (path, rust) = given.chain(of_prost).max_by_key(|(path, _)| path.len())?;
        let rest = full_name.strip_prefix(path)?.trim_start_matches('.');
        let mut parts = rest.split('.').filter(|part| !part.is_empty());
        let name = parts.next_back().map(camel);
        let parts = parts.map(snake).chain(name);
        Some(parts.fold(rust, |path, part| format!("{path}::{part}")))
    }

    /// Whether a `bytes` field is `Bytes`.
    pub(super) fn shared_bytes(&self, names: &[&str]) -> bool {
        self.bytes.has(names)
    }

    /// Whether a map is a `HashMap`.
    pub(super) fn hash_map(&self, names: &[&str]) -> bool {
        self.hash_maps.has(names)
    }

    pub(super) fn boxed(&self, names: &[&str]) -> bool {
        self.boxed.has(names)
    }

    /// Whether a message has a view, or a method takes one.
    pub(super) fn view(&self, name: &str) -> bool {
        self.views.has(&[name])
    }

    /// Whether a message keeps unknown fields.
    pub(super) fn unknown_fields(&self, name: &str) -> bool {
        self.unknown_fields.has(&[name])
    }

    pub(super) fn type_attributes(&self, name: &str) -> Vec<String> {
        self.type_attributes.all(&[name])
    }

    pub(super) fn field_attributes(&self, names: &[&str]) -> Vec<String> {
        self.field_attributes.all(names)
    }

    /// Without an error, a misspelt path has no effect.
    pub(super) fn check(&self) -> Result<(), Error> {
        let flags = [
            &self.bytes,
            &self.hash_maps,
            &self.boxed,
            &self.views,
            &self.unknown_fields,
        ];
        let attributes = [&self.type_attributes, &self.field_attributes];
        let unused = self.extern_paths.unused();
        let unused = unused.chain(flags.into_iter().flat_map(PathOption::unused));
        Error::all(unused.chain(attributes.into_iter().flat_map(PathOption::unused)))
    }
}

/// One option, with all that it was given.
struct PathOption<T> {
    name: &'static str,
    /// What its paths stand for.
    what: &'static str,
    entries: Vec<Entry<T>>,
    /// The names that there are, if a path may turn out to be none of them.
    names: RefCell<BTreeSet<String>>,
}

struct Entry<T> {
    path: String,
    value: T,
    used: Cell<bool>,
}

impl<T> PathOption<T> {
    fn new(
        (name, what): (&'static str, &'static str),
        entries: Vec<(String, T)>,
    ) -> Result<Self, Error> {
        let undotted = entries.iter().filter(|(path, _)| !path.starts_with('.'));
        Error::all(undotted.map(|(path, _)| {
            Error::new(format!("{name} {path:?}: {PATHS}")).with_help(format!("write \".{path}\""))
        }))?;
        let entry = |(path, value)| Entry {
            path,
            value,
            used: Cell::new(false),
        };
        Ok(Self {
            name,
            what,
            entries: entries.into_iter().map(entry).collect(),
            names: RefCell::default(),
        })
    }

    /// What is given for an element with these names.
    fn of<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a T)> {
        if self.entries.iter().any(Entry::may_be_unused) {
            let names = names.iter().map(|&name| name.to_owned());
            self.names.borrow_mut().extend(names);
        }
        let covered = |path: &str| names.iter().any(move |name| covers(path, name));
        let entries = self
            .entries
            .iter()
            .filter(move |entry| covered(&entry.path));
        entries.map(|entry| {
            entry.used.set(true);
            (entry.path.as_str(), &entry.value)
        })
    }

    /// Whether it is given. All paths that say so have an effect, not the first alone.
    fn has(&self, names: &[&str]) -> bool {
        self.of(names).count() > 0
    }

    /// An error for each path that stands for nothing.
    fn unused(&self) -> impl Iterator<Item = Error> {
        let unused = self.entries.iter().filter(|entry| entry.may_be_unused());
        unused.map(|Entry { path, .. }| {
            let (name, what) = (self.name, self.what);
            let text = format!("{name} {path:?}: there is no {what} of this name in the files");
            let names = self.names.borrow();
            let known = names.iter().flat_map(|name| prefixes(name));
            match nearest(path, known) {
                Some(near) => Error::new(text).with_help(format!("did you mean {near:?}?")),
                None => Error::new(text).with_help(PATHS),
            }
        })
    }
}

impl<T> Entry<T> {
    /// Whether it has stood for nothing yet, and says of what it should.
    fn may_be_unused(&self) -> bool {
        !self.used.get() && self.path != "."
    }
}

impl PathOption<String> {
    fn all(&self, names: &[&str]) -> Vec<String> {
        self.of(names).map(|(_, text)| text.clone()).collect()
    }
}

/// The names of all that a name is in, and itself: paths that stand for it.
fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.match_indices('.').skip(1).map(|(at, _)| at);
    ends.chain([name.len()]).map(|end| &name[..end])
}

/// Whether a path of the configuration stands for this full name, which has a leading dot.
pub(crate) fn covers(path: &str, full_name: &str) -> bool {
    let rest = full_name.strip_prefix(path);
    path == "." || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn check_extern_path(rust: &str) -> Result<(), Error> {
    if !rust.starts_with("::") && !rust.starts_with("crate::") && rust != "crate" {
        let text = format!(
            "extern_path {rust:?} must start with `::` or `crate`, as it is used in modules of any depth"
        );
        return Err(Error::new(text).with_help(format!("write \"::{rust}\" or \"crate::{rust}\"")));
    }
    match syn::parse_str::<syn::Type>(rust) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::new(format!(
            "extern_path {rust:?} is no path: {error}"
        ))),
    }
}

fn attributes(option: &str, given: &[(String, String)]) -> Result<Vec<(String, String)>, Error> {
    let check = |(path, text): &(String, String)| match Attribute::parse_outer.parse_str(text) {
        Ok(_) => Ok((path.clone(), text.trim().to_owned())),
        Err(error) => Err(Error::new(format!(
            "{option} {text:?} is no attribute: {error}"
        ))),
    };
    given.iter().map(check).collect()
}

const PATHS: &str = "a path begins with a dot, and stands for all that is below it: \
                     .package, .package.Message, .package.Message.field";

/// The types that are not generated, as prost-types has them or Rust itself.
const WELL_KNOWN: [(&str, &str); 11] = [
    (".google.protobuf", "ROOT::prost_types"),
    (".google.protobuf.BoolValue", "bool"),
    (
        ".google.protobuf.BytesValue",
        "ROOT::prost::alloc::vec::Vec<u8>",
    ),
    (".google.protobuf.DoubleValue", "f64"),
    (".google.protobuf.Empty", "()"),
    (".google.protobuf.FloatValue", "f32"),
    (".google.protobuf.Int32Value", "i32"),
    (".google.protobuf.Int64Value", "i64"),
    (
        ".google.protobuf.StringValue",
        "ROOT::prost::alloc::string::String",
    ),
    (".google.protobuf.UInt32Value", "u32"),
    (".google.protobuf.UInt64Value", "u64"),
];
