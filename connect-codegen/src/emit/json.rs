//! The JSON of messages and enums: implementations of connect-codec's traits, one line per field and
//! direction.

use std::collections::HashMap;

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::Item;

use crate::{
    names::{self, identifier},
    schema::{Enum, Field, File, Kind, Message, Oneof, Scalar, Shape, TypePath},
};

/// What stands beside a message, in these modules.
pub(super) fn message(message: &Message, scope: &[String]) -> [Item; 3] {
    let json = names::json();
    let root = names::root();
    let ident = message.path.ident();
    [
        json_message(message, scope),
        syn::parse_quote! {
            impl #root::serde::Serialize for #ident {
                fn serialize<S: #root::serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    #json::serialize(self, serializer)
                }
            }
        },
        syn::parse_quote! {
            impl<'de> #root::serde::Deserialize<'de> for #ident {
                fn deserialize<D: #root::serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    #json::deserialize(deserializer)
                }
            }
        },
    ]
}

fn json_message(message: &Message, scope: &[String]) -> Item {
    let json = names::json();
    let (name, path) = (&message.full_name, message.path.tokens(scope));
    let body = (!message.fields.is_empty()).then(|| {
        let names = field_names(message);
        let index = field_index(message);
        let read = read_field(message, scope);
        let write = write_fields(message, scope);
        quote!(#names #index #read #write)
    });
    let deprecated = message.fields.iter().any(|field| field.deprecated);
    let allow = deprecated.then(|| quote!(#[allow(deprecated)]));
    syn::parse_quote! {
        #allow
        impl #json::JsonMessage for #path {
            const FULL_NAME: &'static str = #name;
            #body
        }
    }
}

/// The implementation for an enum.
pub(super) fn enumeration(enumeration: &Enum, scope: &[String]) -> Item {
    let json = names::json();
    let (name, path) = (&enumeration.full_name, enumeration.path.tokens(scope));
    let number = |number| Literal::i32_unsuffixed(number);
    let values = enumeration.values.iter();
    let of_name = values.clone().map(|value| {
        let (name, number) = (&value.name, number(value.number));
        quote!(#name => #number)
    });
    let of_number = values.filter(|value| !value.alias).map(|value| {
        let (name, number) = (&value.name, number(value.number));
        quote!(#number => #name)
    });
    syn::parse_quote! {
        impl #json::JsonEnum for #path {
            const FULL_NAME: &'static str = #name;

            fn name_of(number: i32) -> ::core::option::Option<&'static str> {
                ::core::option::Option::Some(match number {
                    #(#of_number,)*
                    _ => return ::core::option::Option::None,
                })
            }

            fn number_of(name: &str) -> ::core::option::Option<i32> {
                ::core::option::Option::Some(match name {
                    #(#of_name,)*
                    _ => return ::core::option::Option::None,
                })
            }
        }
    }
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
        items.push(json_message(message, scope));
        message
            .messages
            .iter()
            .for_each(|nested| add(nested, scope, items));
        items.extend(message.enums.iter().map(|e| enumeration(e, scope)));
    }
    file.messages
        .iter()
        .for_each(|message| add(message, scope, items));
    items.extend(file.enums.iter().map(|e| enumeration(e, scope)));
}

/// The type in connect-codec that stands for the field's type.
fn kind(field: &Field, scope: &[String]) -> TokenStream {
    let name = match &field.kind {
        Kind::Scalar(scalar) => match scalar {
            Scalar::Bool => "Bool",
            Scalar::Double => "Double",
            Scalar::Float => "Float",
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => "Int32",
            Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => "Int64",
            Scalar::String => "Str",
            Scalar::Uint32 | Scalar::Fixed32 => "UInt32",
            Scalar::Uint64 | Scalar::Fixed64 => "UInt64",
        },
        Kind::Bytes { .. } => "BytesKind",
        Kind::Message { .. } => "Message",
        Kind::Enum(to) if to.full_name == "google.protobuf.NullValue" => "Null",
        Kind::Enum(to) => {
            let path = to.path.tokens(scope);
            return quote!(__json::Enum::<#path>);
        }
    };
    let name = identifier(name);
    quote!(__json::#name)
}

/// The fields with their indexes.
fn indexed(message: &Message) -> impl Iterator<Item = (Literal, &Field)> {
    let fields = message.fields.iter().enumerate();
    fields.map(|(index, field)| (Literal::usize_unsuffixed(index), field))
}

fn field_names(message: &Message) -> TokenStream {
    let json = names::json();
    let names = message.fields.iter().map(|field| {
        let (json_name, name) = (&field.json_name, &field.name);
        quote!(#json::FieldName::new(#json_name, #name))
    });
    quote! {
        const FIELDS: &'static [#json::FieldName] = &[#(#names),*];
    }
}

/// "Parsers accept both the lowerCamelCase name and the original proto field name." Where two fields
/// claim one name, which proto2 allows, the JSON name wins over the original one.
fn field_index(message: &Message) -> TokenStream {
    let mut claimed: HashMap<&str, i32> = HashMap::new();
    for field in &message.fields {
        claimed.entry(&field.json_name).or_insert(field.number);
    }
    for field in &message.fields {
        claimed.entry(&field.name).or_insert(field.number);
    }
    let arms = indexed(message).filter_map(|(index, field)| {
        let mut names = vec![field.json_name.as_str(), &field.name];
        names.dedup();
        names.retain(|name| claimed.get(name) == Some(&field.number));
        (!names.is_empty()).then(|| quote!(#(#names)|* => #index))
    });
    quote! {
        fn field_index(key: &str) -> ::core::option::Option<usize> {
            ::core::option::Option::Some(match key {
                #(#arms,)*
                _ => return ::core::option::Option::None,
            })
        }
    }
}

fn read_field(message: &Message, scope: &[String]) -> TokenStream {
    let json = names::json();
    let root = names::root();
    let import = import();
    let arms = indexed(message).map(|(index, field)| {
        let (rust, kind) = (identifier(&field.rust_name), kind(field, scope));
        let call = match field.shape {
            Shape::Implicit | Shape::Required => quote!(read_field(map, &mut self.#rust, cx)),
            Shape::Map { .. } => quote!(read_map(map, &mut self.#rust, cx)),
            Shape::Optional => quote!(read_optional(map, &mut self.#rust, cx)),
            Shape::Repeated { .. } => quote!(read_repeated(map, &mut self.#rust, cx)),
            Shape::Oneof(index) => {
                let oneof = &message.oneofs[index];
                let (path, name) = (oneof.path.tokens(scope), identifier(&oneof.rust_name));
                quote!(read_oneof(map, &mut self.#name, #path::#rust, cx))
            }
        };
        quote!(#index => #kind::#call)
    });
    quote! {
        fn read_field<'de, A: #root::serde::de::MapAccess<'de>>(
            &mut self,
            index: usize,
            map: &mut A,
            cx: #json::JsonContext<'_>,
        ) -> ::core::result::Result<(), A::Error> {
            #import
            match index {
                #(#arms,)*
                _ => ::core::result::Result::Ok(()),
            }
        }
    }
}

fn write_fields(message: &Message, scope: &[String]) -> TokenStream {
    let json = names::json();
    let root = names::root();
    let import = import();
    let mut oneofs_done = Vec::new();
    let calls = indexed(message).filter_map(|(index, field)| {
        let call = match field.shape {
            Shape::Implicit => quote!(write_implicit),
            Shape::Map { .. } => quote!(write_map),
            Shape::Optional => quote!(write_optional),
            Shape::Repeated { .. } => quote!(write_repeated),
            Shape::Required => quote!(write_field),
            Shape::Oneof(oneof) if oneofs_done.contains(&oneof) => return None,
            Shape::Oneof(oneof) => {
                oneofs_done.push(oneof);
                return Some(write_oneof(message, oneof, scope));
            }
        };
        let (rust, kind) = (identifier(&field.rust_name), kind(field, scope));
        Some(quote!(#kind::#call(map, &Self::FIELDS[#index], &self.#rust, cx)?;))
    });
    let calls: Vec<_> = calls.collect();
    quote! {
        fn write_fields<M: #root::serde::ser::SerializeMap>(
            &self,
            map: &mut M,
            cx: #json::JsonContext<'_>,
        ) -> ::core::result::Result<(), M::Error> {
            #import
            #(#calls)*
            ::core::result::Result::Ok(())
        }
    }
}

fn write_oneof(message: &Message, oneof: usize, scope: &[String]) -> TokenStream {
    let Oneof {
        rust_name, path, ..
    } = &message.oneofs[oneof];
    let (name, path) = (identifier(rust_name), path.tokens(scope));
    let members = indexed(message).filter(|(_, field)| field.shape == Shape::Oneof(oneof));
    let arms = members.map(|(index, field)| {
        let (variant, kind) = (identifier(&field.rust_name), kind(field, scope));
        quote! {
            ::core::option::Option::Some(#path::#variant(value)) => {
                #kind::write_field(map, &Self::FIELDS[#index], value, cx)?;
            }
        }
    });
    quote! {
        match &self.#name {
            #(#arms)*
            ::core::option::Option::None => {}
        }
    }
}

/// A short name for the runtime, inside of functions. No module of a message can have it, as prost
/// trims underscores.
fn import() -> TokenStream {
    let json = names::json();
    quote!(use #json::{self as __json, JsonField as _};)
}
