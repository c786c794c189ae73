//! JSON for the types of `google.protobuf` that prost-types owns: connect-codec checks it in.

use syn::{Item, ItemImpl};

use crate::names;

/// Of a package's items, the JSON of those types that have no JSON form of their own, as
/// implementations for the types of prost-types.
pub(crate) fn json_only(items: Vec<Item>) -> Vec<Item> {
    let root = names::root();
    keep(items, &syn::parse_quote!(#root::prost_types))
}

/// `path` is where prost-types has these types.
fn keep(items: Vec<Item>, path: &syn::Path) -> Vec<Item> {
    // The names of types, for the modules around as well.
    let mut kept: Vec<Item> = vec![syn::parse_quote! {
        #[allow(unused_imports)]
        pub(super) use #path::*;
    }];
    let needed = kept.len();
    for item in items {
        match item {
            Item::Impl(item) if is_json(&item) && !is_by_hand(&item) => {
                kept.push(Item::Impl(item));
            }
            Item::Mod(mut module) => {
                let Some((brace, content)) = module.content.take() else {
                    continue;
                };
                let ident = &module.ident;
                let content = keep(content, &syn::parse_quote!(#path::#ident));
                if content.len() > needed {
                    module.vis = syn::Visibility::Inherited;
                    let import = names::import_from_parent();
                    let content = [import].into_iter().chain(content).collect();
                    module.content = Some((brace, content));
                    kept.push(Item::Mod(module));
                }
            }
            _ => {}
        }
    }
    kept
}

fn is_json(item: &ItemImpl) -> bool {
    let name = item
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last());
    name.is_some_and(|name| {
        ["JsonEnum", "JsonMessage"]
            .iter()
            .any(|json| name.ident == json)
    })
}

/// Types whose JSON is not the object of their fields; wrappers and `Empty` are types of Rust.
fn is_by_hand(item: &ItemImpl) -> bool {
    let syn::Type::Path(path) = &*item.self_ty else {
        return false;
    };
    path.path
        .get_ident()
        .is_some_and(|name| BY_HAND.iter().any(|by_hand| name == by_hand))
}

const BY_HAND: [&str; 8] = [
    "Any",
    "Duration",
    "FieldMask",
    "ListValue",
    "NullValue",
    "Struct",
    "Timestamp",
    "Value",
];
