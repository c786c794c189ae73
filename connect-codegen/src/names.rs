//! The one name through which generated code reaches other crates, and names that must not collide.

use std::collections::HashSet;

use crate::{Config, Error, code::Code};

/// What generated code calls the module that re-exports every crate it needs. Each module of
/// generated code has this name in scope.
///
/// prost turns paths into snake_case, so the name must be in it already.
pub(crate) const ROOT: &str = "connect_rs";

/// The field of unknown fields, and the module of what is for them.
pub(crate) const UNKNOWN_FIELDS: &str = "unknown_fields";

/// What brings [`ROOT`] into a module inside a module that has it.
pub(crate) fn import_from_parent(code: &mut Code) {
    code.line(format_args!("use super::{ROOT};"));
}

/// What brings [`ROOT`] into the module of a package, unless the including macro does.
pub(crate) fn import_from_crate(config: &Config) -> Result<Code, Error> {
    let mut code = Code::default();
    let Some(path) = config.written_crate_path() else {
        return Ok(code);
    };
    syn::parse_str::<syn::Path>(path)
        .map_err(|error| Error::new(format!("crate_path {path:?} is not a path: {error}")))?;
    // With its features off, a package may have nothing that uses it.
    if config.server_feature.is_some() || config.client_feature.is_some() {
        code.line("#[allow(unused_imports)]");
    }
    code.line(format_args!("use {path}::__codegen as {ROOT};"));
    Ok(code)
}

/// Keeps lints of the user's crate off an item: its names and shape are the `.proto` file's.
pub(crate) const ALLOW: &str =
    "#[allow(dead_code, unnameable_types, unreachable_pub, unused_qualifications)]
#[allow(clippy::all, clippy::nursery, clippy::pedantic)]";

/// Names in use, to find free ones.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// The name, with as many underscores behind it as make it free.
    pub(crate) fn claim(&mut self, name: &str) -> String {
        let mut name = name.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}
