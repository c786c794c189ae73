//! Messages, oneofs and enums: what prost-build would write, with documentation everywhere.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Attribute, Item};

use super::docs;
use crate::{
    names::{self, identifier},
    schema::{Derives, Enum, Field, Kind, Message, Oneof, Scalar, Shape, TypeRef},
};

/// The struct of a message, for these modules.
pub(super) fn message(message: &Message, scope: &[String]) -> Item {
    let prost = names::prost();
    let ident = message.path.ident();
    let docs = docs::attributes(&message.source.comments, || {
        format!("`{}`.", message.full_name)
    });
    let (copy, eq) = derives(message.derives);
    let attributes = &message.attributes;
    // prost's `Debug` of a `BTreeMap` names the crate `prost` as if the user had it, whatever
    // `prost_path` says (prost-derive 0.14.6). Rust's own does without.
    let mut ordered = message.fields.iter();
    let ordered = ordered.any(|f| matches!(f.shape, Shape::Map { ordered: true, .. }));
    let debug = ordered.then(|| quote!(#[derive(::core::fmt::Debug)] #[prost(skip_debug)]));
    let kept = message.keeps_unknown.then(unknown_fields);
    let path = prost_path(match message.keeps_unknown {
        true => "unknown_fields::prost",
        false => "prost",
    });
    let is_member = |field: &&Field| matches!(field.shape, Shape::Oneof(_));
    let fields = message.fields.iter().filter(|field| !is_member(field));
    let fields = fields.map(|field| struct_field(field, scope));
    let oneofs = (0..).zip(&message.oneofs);
    let oneofs = oneofs.map(|(index, oneof)| oneof_field(message, index, oneof, scope));
    syn::parse_quote! {
        #(#docs)*
        #(#attributes)*
        #[derive(Clone, #copy PartialEq, #eq #prost::Message)]
        #path
        #debug
        pub struct #ident {
            #(#fields,)*
            #(#oneofs,)*
            #kept
        }
    }
}

/// The field of a message for what is not in the schema. To prost it is a group of a number that no field has.
fn unknown_fields() -> TokenStream {
    let (root, name) = (names::root(), identifier(names::UNKNOWN_FIELDS));
    quote! {
        /// The fields that are not in the schema, as they came.
        #[prost(group, required, tag = "536870912")]
        pub #name: #root::UnknownFields,
    }
}

/// What makes a message keep the fields that are not in the schema, and the numbers that are not in a closed enum.
pub(super) fn keep(message: &Message, scope: &[String]) -> Item {
    let (root, path) = (names::root(), message.path.tokens(scope));
    let closed = message.fields.iter().filter(|field| field.closed);
    let closed = closed.filter_map(|field| {
        let Kind::Enum(to) = &field.kind else {
            return None;
        };
        let (name, holds) = match field.shape {
            Shape::Oneof(at) => (&message.oneofs[at].rust_name, "One"),
            Shape::Repeated { .. } => (&field.rust_name, "List"),
            Shape::Map { .. } => (&field.rust_name, "Map"),
            _ => (&field.rust_name, "One"),
        };
        let (name, holds) = (identifier(name), identifier(holds));
        let (number, of) = (Literal::i32_unsuffixed(field.number), to.path.tokens(scope));
        Some(quote!(#name: #holds(#number, #of),))
    });
    syn::parse_quote!(#root::unknown_fields::keep! { #path; #(#closed)* })
}

/// Its names.
pub(super) fn name(message: &Message, package: &str) -> Item {
    let (root, ident) = (names::root(), message.path.ident());
    let (name, full_name) = (&message.name, &message.full_name);
    syn::parse_quote!(#root::name!(#ident = #full_name, #package, #name);)
}

/// The enum of a oneof, for the module of its message.
pub(super) fn oneof(message: &Message, index: usize, oneof: &Oneof, scope: &[String]) -> Item {
    let prost = names::prost();
    let ident = oneof.path.ident();
    let docs = docs::attributes(&oneof.source.comments, || {
        String::from("At most one of several fields.")
    });
    let (copy, eq) = derives(oneof.derives);
    let (attributes, path) = (&oneof.attributes, prost_path("prost"));
    let variants = message.members(index).map(|field| {
        let variant = identifier(&field.rust_name);
        let (head, ty) = (field_head(field, scope), boxed(field, scope));
        quote!(#head #variant(#ty))
    });
    syn::parse_quote! {
        #(#docs)*
        #(#attributes)*
        #[derive(Clone, #copy PartialEq, #eq #prost::Oneof)]
        #path
        pub enum #ident {
            #(#variants,)*
        }
    }
}

/// An enum and its names.
pub(super) fn enumeration(enumeration: &Enum) -> (Item, Item) {
    let prost = names::prost();
    let ident = enumeration.path.ident();
    let docs = docs::attributes(&enumeration.source.comments, || {
        format!("`{}`.", enumeration.full_name)
    });
    let (attributes, path) = (&enumeration.attributes, prost_path("prost"));
    let values = || enumeration.values.iter().filter(|value| !value.alias);
    let variants = values().map(|value| {
        let (variant, number) = (identifier(&value.variant), value.number);
        let docs = docs::attributes(&value.source.comments, || {
            format!("`{}`, value {number}.", value.name)
        });
        let attributes = &value.attributes;
        let deprecated = value.deprecated.then(|| quote!(#[deprecated]));
        let number = Literal::i32_unsuffixed(number);
        quote!(#(#docs)* #(#attributes)* #deprecated #variant = #number)
    });
    let item = syn::parse_quote! {
        #(#docs)*
        #(#attributes)*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, #prost::Enumeration
        )]
        #path
        #[repr(i32)]
        pub enum #ident {
            #(#variants,)*
        }
    };
    let parts: Vec<_> = values()
        .map(|value| {
            let allow = value.deprecated.then(|| quote!(#[allow(deprecated)]));
            (allow, identifier(&value.variant), &value.name)
        })
        .collect();
    let to_name = parts
        .iter()
        .map(|(allow, variant, name)| quote!(#allow Self::#variant => #name));
    let of_name = parts
        .iter()
        .map(|(allow, variant, name)| quote!(#name => Some(#allow Self::#variant)));
    let names = syn::parse_quote! {
        impl #ident {
            /// String value of the enum field names used in the ProtoBuf definition.
            ///
            /// The values are not transformed in any way and thus are considered stable
            /// (if the ProtoBuf definition does not change) and safe for programmatic use.
            pub fn as_str_name(&self) -> &'static str {
                match self {
                    #(#to_name,)*
                }
            }
            /// Creates an enum from field names used in the ProtoBuf definition.
            pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                match value {
                    #(#of_name,)*
                    _ => None,
                }
            }
        }
    };
    (item, names)
}

fn struct_field(field: &Field, scope: &[String]) -> TokenStream {
    let prost = names::prost();
    let head = field_head(field, scope);
    let name = identifier(&field.rust_name);
    let value = boxed(field, scope);
    let ty = match field.shape {
        Shape::Implicit | Shape::Required | Shape::Oneof(_) => value,
        Shape::Optional => quote!(::core::option::Option<#value>),
        Shape::Repeated { .. } => quote!(#prost::alloc::vec::Vec<#value>),
        Shape::Map { key, ordered } => {
            let key = scalar_type(key);
            let map = match ordered {
                true => quote!(#prost::alloc::collections::BTreeMap),
                false => quote!(::std::collections::HashMap),
            };
            quote!(#map<#key, #value>)
        }
    };
    quote!(#head pub #name: #ty)
}

/// Documentation and attributes of a field of a message or a member of a oneof.
fn field_head(field: &Field, scope: &[String]) -> TokenStream {
    let docs = docs::attributes(&field.source.comments, || {
        format!("`{}`, field {}.", field.name, field.number)
    });
    // prost-build says nothing of maps.
    let says_so = field.deprecated && !matches!(field.shape, Shape::Map { .. });
    let deprecated = says_so.then(|| quote!(#[deprecated]));
    let (prost, attributes) = (prost_attribute(field, scope), &field.attributes);
    quote!(#(#docs)* #deprecated #prost #(#attributes)*)
}

/// What prost's derive is told of a field.
fn prost_attribute(field: &Field, scope: &[String]) -> Attribute {
    let tag = field.number.to_string();
    let text = |to: &TypeRef| to.path.text(scope);
    let kind = match &field.kind {
        Kind::Scalar(scalar) => word(&scalar_word(*scalar)),
        Kind::Bytes { .. } => word("bytes"),
        Kind::Message { delimited, .. } => word(if *delimited { "group" } else { "message" }),
        Kind::Enum(to) => {
            let path = text(to);
            quote!(enumeration = #path)
        }
    };
    let label = match field.shape {
        Shape::Map { key, ordered } => {
            let map = word(if ordered { "btree_map" } else { "map" });
            let value = match &field.kind {
                Kind::Enum(to) => format!("enumeration({})", text(to)),
                _ => kind.to_string(),
            };
            let types = format!("{}, {value}", scalar_word(key));
            return syn::parse_quote!(#[prost(#map = #types, tag = #tag)]);
        }
        Shape::Oneof(_) => return syn::parse_quote!(#[prost(#kind, tag = #tag)]),
        Shape::Implicit => None,
        Shape::Optional => Some(quote!(, optional)),
        Shape::Required => Some(quote!(, required)),
        Shape::Repeated { packed } if packed || !can_pack(&field.kind) => Some(quote!(, repeated)),
        Shape::Repeated { .. } => Some(quote!(, repeated, packed = "false")),
    };
    let bytes = match field.kind {
        Kind::Bytes { shared: true } => Some(quote!(= "bytes")),
        Kind::Bytes { shared: false } => Some(quote!(= "vec")),
        _ => None,
    };
    let boxed = field.boxed.then(|| quote!(, boxed));
    let default = field.default.as_ref().map(|text| quote!(, default = #text));
    syn::parse_quote!(#[prost(#kind #bytes #label #boxed, tag = #tag #default)])
}

fn oneof_field(message: &Message, index: usize, oneof: &Oneof, scope: &[String]) -> TokenStream {
    let docs = docs::attributes(&oneof.source.comments, || {
        format!("The oneof `{}`.", oneof.name)
    });
    let tags: Vec<_> = message
        .members(index)
        .map(|f| f.number.to_string())
        .collect();
    let (path, tags) = (oneof.path.text(scope), tags.join(", "));
    let (name, ty) = (identifier(&oneof.rust_name), oneof.path.tokens(scope));
    let attributes = &oneof.field_attributes;
    quote! {
        #(#docs)*
        #[prost(oneof = #path, tags = #tags)]
        #(#attributes)*
        pub #name: ::core::option::Option<#ty>
    }
}

/// The type of a field's value, or of one of its values.
pub(super) fn boxed(field: &Field, scope: &[String]) -> TokenStream {
    let prost = names::prost();
    let value = match &field.kind {
        Kind::Scalar(scalar) => scalar_type(*scalar),
        Kind::Bytes { shared: true } => quote!(#prost::bytes::Bytes),
        Kind::Bytes { shared: false } => quote!(#prost::alloc::vec::Vec<u8>),
        Kind::Message { to, .. } => to.path.tokens(scope),
        Kind::Enum(_) => quote!(i32),
    };
    match field.boxed {
        true => quote!(#prost::alloc::boxed::Box<#value>),
        false => value,
    }
}

pub(crate) fn can_pack(kind: &Kind) -> bool {
    match kind {
        Kind::Scalar(scalar) => *scalar != Scalar::String,
        Kind::Enum(_) => true,
        Kind::Bytes { .. } | Kind::Message { .. } => false,
    }
}

fn derives(derives: Derives) -> (Option<TokenStream>, Option<TokenStream>) {
    let copy = derives.copy.then(|| quote!(Copy,));
    (copy, derives.eq.then(|| quote!(Eq, Hash,)))
}

/// Where prost's derive finds prost.
fn prost_path(path: &str) -> Attribute {
    let path = format!("{}::{path}", names::ROOT);
    syn::parse_quote!(#[prost(prost_path = #path)])
}

fn word(word: &str) -> TokenStream {
    let word = identifier(word);
    quote!(#word)
}

/// Of a field in Rust.
pub(super) fn scalar_type(scalar: Scalar) -> TokenStream {
    word(match scalar {
        Scalar::Bool => "bool",
        Scalar::Double => "f64",
        Scalar::Float => "f32",
        Scalar::Int32 | Scalar::Sfixed32 | Scalar::Sint32 => "i32",
        Scalar::Int64 | Scalar::Sfixed64 | Scalar::Sint64 => "i64",
        Scalar::Uint32 | Scalar::Fixed32 => "u32",
        Scalar::Uint64 | Scalar::Fixed64 => "u64",
        Scalar::String => {
            let prost = names::prost();
            return quote!(#prost::alloc::string::String);
        }
    })
}

/// What prost calls it: the variant's name in lower case.
fn scalar_word(scalar: Scalar) -> String {
    format!("{scalar:?}").to_lowercase()
}
