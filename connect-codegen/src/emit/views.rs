//! Views: messages whose strings and bytes are slices of the encoded message.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::Item;

use super::{docs, json, messages};
use crate::{
    names::{self, identifier},
    schema::{Field, Kind, Message, Oneof, Scalar, Shape, TypePath, Views},
};

/// The view of a message, if it has one, for these modules.
pub(super) fn message(message: &Message, views: &Views, scope: &[String]) -> Vec<Item> {
    let Some(path) = views.message(&message.full_name) else {
        return Vec::new();
    };
    let (view, root) = (path.ident(), names::root());
    let docs = docs::attributes(&message.source.comments, || {
        format!("`{}`, borrowed from its encoding.", message.full_name)
    });
    let emitter = Emitter { views, scope };
    let oneofs = message.oneofs.iter().enumerate().map(|(at, oneof)| {
        let docs = oneof_docs(oneof);
        let (name, ty) = (identifier(&oneof.rust_name), emitter.oneof(message, at));
        quote!(#(#docs)* pub #name: ::core::option::Option<#ty>)
    });
    let is_member = |field: &&Field| matches!(field.shape, Shape::Oneof(_));
    let fields = message.fields.iter().filter(|field| !is_member(field));
    let fields = fields.map(|field| {
        let (docs, ty) = (field_docs(field), emitter.field_type(field));
        let name = identifier(&field.rust_name);
        quote!(#(#docs)* pub #name: #ty)
    });
    let lines = json::by_field(
        message,
        |field| emitter.line(field),
        |at| emitter.oneof_line(message, at),
    );
    let path = message.path.tokens(scope);
    vec![
        syn::parse_quote! {
            #(#docs)*
            #[derive(Clone, Debug, Default, PartialEq)]
            pub struct #view<'a> {
                #(#fields,)*
                #(#oneofs,)*
            }
        },
        syn::parse_quote!(#root::view::message! { #path = #view<'a>; #(#lines,)* }),
    ]
}

/// The view of a oneof, for the module of its message.
pub(super) fn oneof(
    message: &Message,
    at: usize,
    oneof: &Oneof,
    views: &Views,
    scope: &[String],
) -> Option<Item> {
    views.message(&message.full_name)?;
    let emitter = Emitter { views, scope };
    let (docs, ident) = (oneof_docs(oneof), views.oneof(oneof).ident());
    let lifetime = emitter.lifetime(message, at);
    let variants = message.members(at).map(|field| {
        let (docs, ty) = (field_docs(field), emitter.value_type(field));
        let variant = identifier(&field.rust_name);
        quote!(#(#docs)* #variant(#ty))
    });
    Some(syn::parse_quote! {
        #(#docs)*
        #[derive(Clone, Debug, PartialEq)]
        pub enum #ident #lifetime {
            #(#variants,)*
        }
    })
}

fn oneof_docs(oneof: &Oneof) -> Vec<syn::Attribute> {
    docs::attributes(&oneof.source.comments, || {
        format!("The oneof `{}`.", oneof.name)
    })
}

fn field_docs(field: &Field) -> Vec<syn::Attribute> {
    docs::attributes(&field.source.comments, || {
        format!("`{}`, field {}.", field.name, field.number)
    })
}

/// What the types of views depend on.
struct Emitter<'a> {
    views: &'a Views,
    scope: &'a [String],
}

impl Emitter<'_> {
    fn field_type(&self, field: &Field) -> TokenStream {
        let (value, prost, root) = (self.value_type(field), names::prost(), names::root());
        match field.shape {
            Shape::Implicit | Shape::Required | Shape::Oneof(_) => value,
            Shape::Optional => quote!(::core::option::Option<#value>),
            Shape::Repeated { .. } => quote!(#prost::alloc::vec::Vec<#value>),
            Shape::Map { key, .. } => {
                let key = scalar_type(key);
                quote!(#root::view::Entries<#key, #value>)
            }
        }
    }

    fn value_type(&self, field: &Field) -> TokenStream {
        let value = match &field.kind {
            Kind::Scalar(scalar) => scalar_type(*scalar),
            Kind::Bytes { .. } => quote!(&'a [u8]),
            Kind::Enum(_) => quote!(i32),
            Kind::Message { to, .. } => self.message_type(&to.full_name, &to.path),
        };
        let prost = names::prost();
        match field.boxed {
            true => quote!(#prost::alloc::boxed::Box<#value>),
            false => value,
        }
    }

    fn message_type(&self, full_name: &str, path: &TypePath) -> TokenStream {
        match self.views.message(full_name) {
            Some(view) => {
                let view = view.tokens(self.scope);
                quote!(#view<'a>)
            }
            None => path.tokens(self.scope),
        }
    }

    /// The type of a oneof.
    fn oneof(&self, message: &Message, at: usize) -> TokenStream {
        let path = self.views.oneof(&message.oneofs[at]).tokens(self.scope);
        let lifetime = self.lifetime(message, at);
        quote!(#path #lifetime)
    }

    /// Of a oneof, if any of its members borrows.
    fn lifetime(&self, message: &Message, at: usize) -> Option<TokenStream> {
        let mut members = message.members(at);
        members
            .any(|field| self.views.borrows(field))
            .then(|| quote!(<'a>))
    }

    /// How a field is read.
    fn line(&self, field: &Field) -> TokenStream {
        let number = Literal::i32_unsuffixed(field.number);
        let kind = self.kind(field);
        let kind = match field.boxed {
            true => {
                let root = names::root();
                let (name, of) = kind;
                quote!(Boxed(#root::view::#name<#of>))
            }
            false => match kind {
                (name, None) => quote!(#name),
                (name, Some(of)) => quote!(#name(#of)),
            },
        };
        quote!((#number, #kind))
    }

    fn oneof_line(&self, message: &Message, at: usize) -> TokenStream {
        let ty = self.oneof(message, at);
        let members = message.members(at).map(|field| {
            let (variant, line) = (identifier(&field.rust_name), self.line(field));
            quote!(#variant #line)
        });
        quote!(#ty { #(#members,)* })
    }

    /// What connect-codec calls the kind, and the type that it is of.
    fn kind(&self, field: &Field) -> (proc_macro2::Ident, Option<TokenStream>) {
        let (name, of) = match &field.kind {
            Kind::Scalar(scalar) => return (json::scalar(*scalar), None),
            Kind::Bytes { .. } => ("Bytes", None),
            Kind::Enum(_) => ("Enum", None),
            Kind::Message { to, delimited } => {
                let viewed = self.views.message(&to.full_name).is_some();
                let name = match (viewed, delimited) {
                    (true, false) => "Message",
                    (true, true) => "Group",
                    (false, false) => "Owned",
                    (false, true) => "OwnedGroup",
                };
                (name, Some(self.message_type(&to.full_name, &to.path)))
            }
        };
        (identifier(name), of)
    }
}

fn scalar_type(scalar: Scalar) -> TokenStream {
    match scalar {
        Scalar::String => quote!(&'a str),
        scalar => messages::scalar_type(scalar),
    }
}
