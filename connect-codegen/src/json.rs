//! The JSON of messages and enums: implementations of connect-codec's traits, one line per field and
//! direction.

use std::collections::HashMap;

use proc_macro2::{Ident, Literal, TokenStream};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, field_descriptor_proto::Type,
};
use quote::quote;
use syn::{
    Attribute, Expr, ExprLit, Item, ItemEnum, ItemStruct, Lit, Meta, Path, Token,
    punctuated::Punctuated,
};

use crate::{
    Error,
    model::{Model, json_name},
    names,
};

/// The implementations for a message.
pub(crate) fn message(
    item: &ItemStruct,
    full_name: &str,
    descriptor: &DescriptorProto,
    model: &Model<'_>,
    oneofs: &Oneofs,
) -> Result<Vec<Item>, Error> {
    let fields = plan(item, full_name, descriptor, model, oneofs)?;
    let ident = &item.ident;
    let json = names::json();
    let root = names::root();
    let body = if descriptor.field.is_empty() {
        TokenStream::new()
    } else {
        let names = field_names(descriptor);
        let index = field_index(descriptor);
        let read = read_field(&fields);
        let write = write_fields(&fields);
        quote!(#names #index #read #write)
    };
    let deprecated = fields.iter().any(|field| field.deprecated);
    let allow = deprecated.then(|| quote!(#[allow(deprecated)]));
    Ok(vec![
        syn::parse_quote! {
            #allow
            impl #json::JsonMessage for #ident {
                const FULL_NAME: &'static str = #full_name;
                #body
            }
        },
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
    ])
}

/// The implementation for an enum.
pub(crate) fn enumeration(
    item: &ItemEnum,
    full_name: &str,
    descriptor: &EnumDescriptorProto,
) -> Item {
    let ident = &item.ident;
    let json = names::json();
    let mut seen = Vec::new();
    let mut by_number = Vec::new();
    let mut by_name = Vec::new();
    for value in &descriptor.value {
        let name = value.name();
        let number = Literal::i32_unsuffixed(value.number());
        by_name.push(quote!(#name => #number));
        if !seen.contains(&value.number()) {
            seen.push(value.number());
            by_number.push(quote!(#number => #name));
        }
    }
    syn::parse_quote! {
        impl #json::JsonEnum for #ident {
            const FULL_NAME: &'static str = #full_name;

            fn name_of(number: i32) -> ::core::option::Option<&'static str> {
                ::core::option::Option::Some(match number {
                    #(#by_number,)*
                    _ => return ::core::option::Option::None,
                })
            }

            fn number_of(name: &str) -> ::core::option::Option<i32> {
                ::core::option::Option::Some(match name {
                    #(#by_name,)*
                    _ => return ::core::option::Option::None,
                })
            }
        }
    }
}

/// What prost says of a field in its `#[prost(...)]` attribute.
#[derive(Default)]
pub(crate) struct ProstAttr {
    pub(crate) tag: Option<i32>,
    oneof: Option<String>,
    required: bool,
    repeated: bool,
    map: bool,
    pub(crate) btree_map: bool,
    enumeration: Option<String>,
}

impl ProstAttr {
    pub(crate) fn of(attrs: &[Attribute]) -> Self {
        let mut out = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("prost")) {
            let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            for meta in metas.into_iter().flatten() {
                out.add(&meta);
            }
        }
        out
    }

    fn add(&mut self, meta: &Meta) {
        let Some(name) = meta.path().get_ident().map(ToString::to_string) else {
            return;
        };
        let value = string_value(meta);
        match (name.as_str(), value) {
            ("required", _) => self.required = true,
            ("repeated", _) => self.repeated = true,
            ("tag", Some(value)) => self.tag = value.parse().ok(),
            ("oneof", Some(value)) => self.oneof = Some(value),
            ("enumeration", Some(value)) => self.enumeration = Some(value),
            ("map" | "btree_map" | "hash_map", Some(value)) => {
                self.map = true;
                self.btree_map = name == "btree_map";
                self.enumeration = value
                    .split_once("enumeration(")
                    .and_then(|(_, path)| Some(path.strip_suffix(')')?.to_owned()));
            }
            _ => {}
        }
    }
}

/// The oneofs of a module's messages: their members lie in modules beside the messages.
pub(crate) struct Oneofs(HashMap<String, Vec<Member>>);

/// A member of a oneof.
#[derive(Clone)]
struct Member {
    tag: i32,
    variant: Ident,
    enumeration: Option<Path>,
}

impl Oneofs {
    pub(crate) fn new(items: &[Item]) -> Self {
        let mut out = HashMap::new();
        for item in items {
            let Item::Mod(module) = item else { continue };
            let Some((_, content)) = &module.content else {
                continue;
            };
            for item in content {
                let Item::Enum(item) = item else { continue };
                let members = item.variants.iter().filter_map(|variant| {
                    let attr = ProstAttr::of(&variant.attrs);
                    Some(Member {
                        tag: attr.tag?,
                        variant: variant.ident.clone(),
                        enumeration: attr
                            .enumeration
                            .and_then(|path| from_parent(&module.ident, &path)),
                    })
                });
                let path = format!("{}::{}", module.ident, item.ident);
                out.insert(path, members.collect());
            }
        }
        Self(out)
    }
}

/// How the parent of a module reaches what the module calls `path`.
fn from_parent(module: &Ident, path: &str) -> Option<Path> {
    let absolute = ["::", "crate::", names::ROOT]
        .iter()
        .any(|start| path.starts_with(start));
    let path = if absolute {
        path.to_owned()
    } else if let Some(path) = path.strip_prefix("super::") {
        path.to_owned()
    } else {
        format!("{module}::{path}")
    };
    syn::parse_str(&path).ok()
}

/// How a field is read and written.
struct Field {
    index: usize,
    rust: Ident,
    kind: TokenStream,
    shape: Shape,
    deprecated: bool,
}

enum Shape {
    Implicit,
    Map,
    Oneof { path: Path, variant: Ident },
    Optional,
    Repeated,
    Required,
}

fn plan(
    item: &ItemStruct,
    full_name: &str,
    descriptor: &DescriptorProto,
    model: &Model<'_>,
    oneofs: &Oneofs,
) -> Result<Vec<Field>, Error> {
    let lost = |what: &str| Error::new(format!("{full_name}: {what} is not in prost's output"));
    let index_of = |tag| {
        descriptor
            .field
            .iter()
            .position(|field| field.number() == tag)
    };
    let mut out = Vec::with_capacity(descriptor.field.len());
    for field in &item.fields {
        let (Some(rust), attr) = (&field.ident, ProstAttr::of(&field.attrs)) else {
            continue;
        };
        if let Some(path) = &attr.oneof {
            let members = oneofs.0.get(path).ok_or_else(|| lost(path))?;
            for member in members {
                let index = index_of(member.tag).ok_or_else(|| lost(path))?;
                let shape = Shape::Oneof {
                    path: syn::parse_str(path).map_err(|_| lost(path))?,
                    variant: member.variant.clone(),
                };
                let proto = &descriptor.field[index];
                let enumeration = member.enumeration.clone();
                out.push(Field::new(index, rust, proto, shape, enumeration, model)?);
            }
        } else if let Some(index) = attr.tag.and_then(index_of) {
            let enumeration = attr.enumeration.as_deref();
            let enumeration = enumeration.and_then(|path| syn::parse_str(path).ok());
            let shape = shape_of(&attr, &field.ty);
            let proto = &descriptor.field[index];
            out.push(Field::new(index, rust, proto, shape, enumeration, model)?);
        }
    }
    if out.len() != descriptor.field.len() {
        return Err(lost("a field"));
    }
    out.sort_by_key(|field| field.index);
    Ok(out)
}

fn shape_of(attr: &ProstAttr, ty: &syn::Type) -> Shape {
    let is_option = match ty {
        syn::Type::Path(path) => path.path.segments.iter().any(|s| s.ident == "Option"),
        _ => false,
    };
    if attr.map {
        Shape::Map
    } else if attr.repeated {
        Shape::Repeated
    } else if is_option {
        Shape::Optional
    } else if attr.required {
        Shape::Required
    } else {
        Shape::Implicit
    }
}

impl Field {
    fn index(&self) -> Literal {
        Literal::usize_unsuffixed(self.index)
    }

    fn new(
        index: usize,
        rust: &Ident,
        proto: &FieldDescriptorProto,
        shape: Shape,
        enumeration: Option<Path>,
        model: &Model<'_>,
    ) -> Result<Self, Error> {
        let value = model.map_entry(proto).map_or(proto, |(_, value)| value);
        let kind = kind(value, enumeration)
            .ok_or_else(|| Error::new(format!("field {} has an unknown type", proto.name())))?;
        let options = proto.options.as_ref();
        Ok(Self {
            index,
            rust: rust.clone(),
            kind,
            shape,
            deprecated: options.is_some_and(|options| options.deprecated()),
        })
    }
}

/// The type in connect-codec that stands for the field's type.
fn kind(field: &FieldDescriptorProto, enumeration: Option<Path>) -> Option<TokenStream> {
    let name = match field.r#type() {
        Type::Bool => "Bool",
        Type::Bytes => "BytesKind",
        Type::Double => "Double",
        Type::Enum if field.type_name() == ".google.protobuf.NullValue" => "Null",
        Type::Enum => return enumeration.map(|path| quote!(__json::Enum::<#path>)),
        Type::Float => "Float",
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => "Int32",
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => "Int64",
        Type::Message | Type::Group => "Message",
        Type::String => "Str",
        Type::Uint32 | Type::Fixed32 => "UInt32",
        Type::Uint64 | Type::Fixed64 => "UInt64",
    };
    let name = names::identifier(name);
    Some(quote!(__json::#name))
}

fn field_names(descriptor: &DescriptorProto) -> TokenStream {
    let json = names::json();
    let names = descriptor.field.iter().map(|field| {
        let (json_name, proto_name) = (json_name(field), field.name());
        quote!(#json::FieldName::new(#json_name, #proto_name))
    });
    quote! {
        const FIELDS: &'static [#json::FieldName] = &[#(#names),*];
    }
}

/// "Parsers accept both the lowerCamelCase name and the original proto field name." Where two fields
/// claim one name, which proto2 allows, the JSON name wins over the original one.
fn field_index(descriptor: &DescriptorProto) -> TokenStream {
    let mut claimed = HashMap::new();
    for (index, field) in descriptor.field.iter().enumerate() {
        claimed.entry(json_name(field)).or_insert(index);
    }
    for (index, field) in descriptor.field.iter().enumerate() {
        claimed.entry(field.name().to_owned()).or_insert(index);
    }
    let arms = descriptor
        .field
        .iter()
        .enumerate()
        .filter_map(|(index, field)| {
            let mut names = vec![json_name(field), field.name().to_owned()];
            names.dedup();
            names.retain(|name| claimed.get(name) == Some(&index));
            let index = Literal::usize_unsuffixed(index);
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

fn read_field(fields: &[Field]) -> TokenStream {
    let json = names::json();
    let root = names::root();
    let import = import();
    let arms = fields.iter().map(|field| {
        let Field { rust, kind, .. } = field;
        let index = field.index();
        let call = match &field.shape {
            Shape::Implicit | Shape::Required => quote!(read_field(map, &mut self.#rust, cx)),
            Shape::Map => quote!(read_map(map, &mut self.#rust, cx)),
            Shape::Oneof { path, variant } => {
                quote!(read_oneof(map, &mut self.#rust, #path::#variant, cx))
            }
            Shape::Optional => quote!(read_optional(map, &mut self.#rust, cx)),
            Shape::Repeated => quote!(read_repeated(map, &mut self.#rust, cx)),
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

fn write_fields(fields: &[Field]) -> TokenStream {
    let json = names::json();
    let root = names::root();
    let import = import();
    let mut oneofs_done: Vec<&Ident> = Vec::new();
    let mut calls = Vec::new();
    for field in fields {
        let Field { rust, kind, .. } = field;
        let index = field.index();
        let call = match &field.shape {
            Shape::Implicit => quote!(write_implicit),
            Shape::Map => quote!(write_map),
            Shape::Optional => quote!(write_optional),
            Shape::Repeated => quote!(write_repeated),
            Shape::Required => quote!(write_field),
            Shape::Oneof { .. } => {
                if !oneofs_done.contains(&rust) {
                    oneofs_done.push(rust);
                    calls.push(write_oneof(rust, fields));
                }
                continue;
            }
        };
        calls.push(quote!(#kind::#call(map, &Self::FIELDS[#index], &self.#rust, cx)?;));
    }
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

fn write_oneof(oneof: &Ident, fields: &[Field]) -> TokenStream {
    let arms = fields
        .iter()
        .filter(|field| field.rust == *oneof)
        .filter_map(|field| {
            let Shape::Oneof { path, variant } = &field.shape else {
                return None;
            };
            let kind = &field.kind;
            let index = field.index();
            Some(quote! {
                ::core::option::Option::Some(#path::#variant(value)) => {
                    #kind::write_field(map, &Self::FIELDS[#index], value, cx)?;
                }
            })
        });
    quote! {
        match &self.#oneof {
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

fn string_value(meta: &Meta) -> Option<String> {
    match &meta.require_name_value().ok()?.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}
