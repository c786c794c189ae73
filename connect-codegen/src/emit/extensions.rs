//! Extensions: constants by which they are read and set.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::Item;

use super::{docs, json, messages};
use crate::{
    names::{self, identifier},
    schema::{Extension, Field, Kind, Scalar, Shape},
};

/// The constant of an extension, for these modules.
pub(super) fn item(extension: &Extension, scope: &[String]) -> Item {
    let Extension {
        full_name,
        rust_name,
        of,
        field,
    } = extension;
    let (root, prost) = (names::root(), names::prost());
    let docs = docs::attributes(&field.source.comments, || {
        format!(
            "`{full_name}`, extension {} of `{}`.",
            field.number, of.full_name
        )
    });
    let (mut ty, kind) = (messages::boxed(field, scope), json::kind(field, scope));
    let label = match field.shape {
        Shape::Repeated { packed } if packed && messages::can_pack(&field.kind) => "Packed",
        Shape::Repeated { .. } => "Repeated",
        _ => "Optional",
    };
    if let Shape::Repeated { .. } = field.shape {
        ty = quote!(#prost::alloc::vec::Vec<#ty>);
    }
    // The default may be a value that is deprecated.
    let allow = matches!(field.kind, Kind::Enum(_)).then(|| quote!(#[allow(deprecated)]));
    let deprecated = field.deprecated.then(|| quote!(#[deprecated]));
    let (name, label, of) = (
        identifier(rust_name),
        identifier(label),
        of.path.tokens(scope),
    );
    let (number, default) = (Literal::i32_unsuffixed(field.number), default(field, scope));
    let attributes = &field.attributes;
    syn::parse_quote! {
        #(#docs)*
        #deprecated
        #allow
        #(#attributes)*
        pub const #name: #root::Extension<#of, #ty> = #root::unknown_fields::extension!(
            #number, #full_name, #label(#kind) #default
        );
    }
}

/// The default value, if it is another one than that of the type.
fn default(field: &Field, scope: &[String]) -> Option<TokenStream> {
    let text = field.default.as_deref();
    let value = match (&field.kind, text) {
        _ if matches!(field.shape, Shape::Repeated { .. }) => return None,
        (Kind::Enum(to), None) => {
            let path = to.path.tokens(scope);
            quote!(#path::default().into())
        }
        (Kind::Enum(to), Some(variant)) => {
            let (path, variant) = (to.path.tokens(scope), identifier(variant));
            quote!(#path::#variant.into())
        }
        (Kind::Scalar(Scalar::String), Some(text)) => quote!(#text.into()),
        (Kind::Scalar(scalar), Some(text)) => {
            let ty = messages::scalar_type(*scalar);
            match text {
                "inf" => quote!(#ty::INFINITY),
                "-inf" => quote!(#ty::NEG_INFINITY),
                "nan" => quote!(#ty::NAN),
                // Numbers, `true` and `false` are written alike in Rust.
                number => number.parse().ok()?,
            }
        }
        (Kind::Bytes { .. }, Some(text)) => {
            let bytes: TokenStream = text.parse().ok()?;
            quote!(#bytes.as_slice().into())
        }
        _ => return None,
    };
    Some(quote!(= #value))
}
