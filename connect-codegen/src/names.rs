//! The one name through which generated code reaches other crates, and names that must not collide.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::Item;

use crate::{Config, Error};

/// What generated code calls the module that re-exports every crate it needs. Each module of
/// generated code has this name in scope.
///
/// prost turns paths into snake_case, so the name must be in it already.
pub(crate) const ROOT: &str = "connect_rs";

/// The field of unknown fields, and the module of what is for them.
pub(crate) const UNKNOWN_FIELDS: &str = "unknown_fields";

pub(crate) fn root() -> Ident {
    Ident::new(ROOT, Span::call_site())
}

/// The path of the JSON runtime.
pub(crate) fn json() -> TokenStream {
    let root = root();
    quote!(#root::json)
}

/// The path of prost.
pub(crate) fn prost() -> TokenStream {
    let root = root();
    quote!(#root::prost)
}

/// What brings [`ROOT`] into a module inside a module that has it.
pub(crate) fn import_from_parent() -> Item {
    let root = root();
    syn::parse_quote!(use super::#root;)
}

/// What brings [`ROOT`] into the module of a package, unless the including macro does.
pub(crate) fn import_from_crate(config: &Config) -> Result<Option<Item>, Error> {
    let Some(path) = config.written_crate_path() else {
        return Ok(None);
    };
    let path: syn::Path = syn::parse_str(path)
        .map_err(|error| Error::new(format!("crate_path {path:?} is not a path: {error}")))?;
    let root = root();
    // With its features off, a package may have nothing that uses it.
    let gated = config.server_feature.is_some() || config.client_feature.is_some();
    let allow = gated.then(|| quote!(#[allow(unused_imports)]));
    Ok(Some(
        syn::parse_quote!(#allow use #path::__codegen as #root;),
    ))
}

/// Puts an item behind a feature of the crate that it is in.
pub(crate) fn gate(item: &mut Item, feature: &str) {
    if let Some(attrs) = attributes_of(item) {
        attrs.push(syn::parse_quote!(#[cfg(feature = #feature)]));
    }
}

/// Keeps lints of the user's crate off an item: its names and shape are the `.proto` file's.
pub(crate) fn allow_lints(item: &mut Item) {
    if let Item::Macro(_) = item {
        // What they expand to has it from them.
        return;
    }
    let Some(attrs) = attributes_of(item) else {
        return;
    };
    let is_doc = |attr: &syn::Attribute| attr.path().is_ident("doc");
    let after_docs = attrs.iter().take_while(|attr| is_doc(attr)).count();
    let allow: [syn::Attribute; 2] = [
        syn::parse_quote!(#[allow(dead_code, unnameable_types, unreachable_pub, unused_qualifications)]),
        syn::parse_quote!(#[allow(clippy::all, clippy::nursery, clippy::pedantic)]),
    ];
    attrs.splice(after_docs..after_docs, allow);
}

fn attributes_of(item: &mut Item) -> Option<&mut Vec<syn::Attribute>> {
    Some(match item {
        Item::Const(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        Item::Impl(item) => &mut item.attrs,
        Item::Macro(item) => &mut item.attrs,
        Item::Mod(item) => &mut item.attrs,
        Item::Static(item) => &mut item.attrs,
        Item::Struct(item) => &mut item.attrs,
        Item::Trait(item) => &mut item.attrs,
        _ => return None,
    })
}

/// Names in use, to find free ones.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// The types and modules among these items.
    pub(crate) fn of_items(items: &[Item]) -> Self {
        let names = items.iter().filter_map(|item| match item {
            Item::Enum(item) => Some(&item.ident),
            Item::Mod(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            _ => None,
        });
        let root = String::from(ROOT);
        Self(names.map(ToString::to_string).chain([root]).collect())
    }

    /// The name as an identifier, with as many underscores behind it as make it free.
    pub(crate) fn claim(&mut self, name: &str) -> Ident {
        let mut name = name.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        identifier(&name)
    }
}

/// An identifier that may be a raw one: `r#type`.
pub(crate) fn identifier(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(keyword) => format_ident!("r#{keyword}"),
        None => format_ident!("{name}"),
    }
}
