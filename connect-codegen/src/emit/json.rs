//! The JSON of messages and enums: macros of connect-codec, one line per field.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens as _, quote};
use syn::Item;

use crate::{
    names::{self, identifier},
    schema::{Enum, Field, File, Kind, Message, Scalar, Shape, TypePath, Value},
};

/// What stands beside a message, in these modules.
pub(super) fn message(message: &Message, scope: &[String]) -> Item {
    let (json, fields) = (names::json(), fields(message, scope));
    syn::parse_quote!(#json::message! { #fields })
}

/// What stands beside an enum: only names for a number that has one already; prost knows the others.
pub(super) fn enumeration(enumeration: &Enum, scope: &[String]) -> Item {
    named(enumeration, scope, |value| value.alias)
}

/// An enum with those of its names that prost may not know.
fn named(enumeration: &Enum, scope: &[String], unknown: impl Fn(&Value) -> bool) -> Item {
    let json = names::json();
    let (name, path) = (&enumeration.full_name, enumeration.path.tokens(scope));
    let names = enumeration.values.iter().filter(|value| unknown(value));
    let names = names.map(|value| {
        let (name, number) = (&value.name, Literal::i32_unsuffixed(value.number));
        quote!(#name = #number,)
    });
    syn::parse_quote!(#json::enumeration! { #path = #name; #(#names)* })
}

/// The function that registers these messages.
pub(super) fn register_types(messages: &[&TypePath], scope: &[String]) -> Item {
    let json = names::json();
    let messages = messages.iter().map(|path| path.tokens(scope));
    syn::parse_quote! {
        /// Registers the messages of this package, so that a `google.protobuf.Any` that holds one has
        /// a JSON form.
        pub fn register_types(types: &mut #json::TypeRegistry) {
            #(types.register::<#messages>();)*
        }
    }
}

/// JSON for the types of `google.protobuf` that prost-types owns: connect-codec checks it in.
pub(super) fn well_known(file: &File, scope: &[String], items: &mut Vec<Item>) {
    fn add(message: &Message, scope: &[String], items: &mut Vec<Item>) {
        let (json, fields) = (names::json(), fields(message, scope));
        items.push(syn::parse_quote!(#json::fields! { #fields }));
        message
            .messages
            .iter()
            .for_each(|nested| add(nested, scope, items));
        items.extend(message.enums.iter().map(|e| named(e, scope, |_| true)));
    }
    file.messages
        .iter()
        .for_each(|message| add(message, scope, items));
    // Those of prost-types are of an older schema: `SYNTAX_EDITIONS` is not among them.
    items.extend(file.enums.iter().map(|e| named(e, scope, |_| true)));
}

/// A message with its fields.
fn fields(message: &Message, scope: &[String]) -> TokenStream {
    let (name, path) = (&message.full_name, message.path.tokens(scope));
    let oneof = |at: usize| {
        let path = message.oneofs[at].path.tokens(scope);
        let members = message.members(at).map(|field| {
            let (variant, entry) = (identifier(&field.rust_name), entry(field, scope));
            quote!(#variant #entry)
        });
        quote!(#path { #(#members,)* })
    };
    let lines = by_field(message, |field| entry(field, scope), oneof);
    let kept = message
        .keeps_unknown
        .then(|| identifier(names::UNKNOWN_FIELDS));
    let kept = kept.map(|field| quote!(+ #field));
    quote!(#path = #name #kept; #(#lines,)*)
}

/// A line for each field with its shape, and for each oneof where its first member is.
pub(super) fn by_field(
    message: &Message,
    line: impl Fn(&Field) -> TokenStream,
    oneof: impl Fn(usize) -> TokenStream,
) -> Vec<TokenStream> {
    let mut oneofs_done = Vec::new();
    let mut lines = Vec::new();
    for field in &message.fields {
        let rust = identifier(&field.rust_name);
        let label = match field.shape {
            Shape::Implicit => quote!(Implicit),
            Shape::Optional => quote!(Optional),
            Shape::Required => quote!(Required),
            Shape::Repeated { .. } => quote!(Repeated),
            Shape::Map { key, .. } => {
                let key = scalar(key);
                quote!(Map<#key>)
            }
            Shape::Oneof(at) => {
                if !oneofs_done.contains(&at) {
                    oneofs_done.push(at);
                    let rust = identifier(&message.oneofs[at].rust_name);
                    let oneof = oneof(at);
                    lines.push(quote!(#rust = #oneof));
                }
                continue;
            }
        };
        let line = line(field);
        lines.push(quote!(#rust: #label #line));
    }
    lines
}

/// Number, names and kind of a field.
fn entry(field: &Field, scope: &[String]) -> TokenStream {
    let number = Literal::i32_unsuffixed(field.number);
    let (name, json_name, kind) = (&field.name, &field.json_name, kind(field, scope));
    quote!((#number, #name, #json_name, #kind))
}

/// The type of a field's values.
pub(super) fn kind(field: &Field, scope: &[String]) -> TokenStream {
    match &field.kind {
        Kind::Scalar(kind) => scalar(*kind).into_token_stream(),
        Kind::Bytes { .. } => quote!(Bytes),
        Kind::Message { to, delimited } => {
            let path = to.path.tokens(scope);
            if *delimited {
                quote!(Group(#path))
            } else {
                quote!(Message(#path))
            }
        }
        Kind::Enum(to) if to.full_name == "google.protobuf.NullValue" => quote!(Null),
        Kind::Enum(to) => {
            let path = to.path.tokens(scope);
            quote!(Enum(#path))
        }
    }
}

/// What connect-codec calls it.
pub(super) fn scalar(scalar: Scalar) -> Ident {
    identifier(&format!("{scalar:?}"))
}
