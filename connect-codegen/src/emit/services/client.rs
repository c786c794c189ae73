//! The client of a service.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use super::{Method, Service, StreamType};
use crate::names;

/// Methods of clients that no procedure may have the name of.
pub(super) const OWN_METHODS: [&str; 12] = [
    "new",
    "from_client",
    "with_config",
    "with_codecs",
    "with_timer",
    "with_deadline_propagation",
    "with_resends",
    "with_max_replay_bytes",
    "with_service_config",
    "with_retry",
    "add_interceptor",
    "add_observer",
];

pub(super) fn items(service: &Service) -> Vec<Item> {
    let Service {
        full_name,
        client_name,
        ..
    } = service;
    let root = names::root();
    let methods = service
        .methods
        .iter()
        .map(|method| client_method(method, service));
    vec![
        syn::parse_quote!(#root::client!(#client_name, #full_name);),
        syn::parse_quote! {
            impl<T: #root::Transport> #client_name<T> {
                #(#methods)*
            }
        },
    ]
}

fn client_method(method: &Method, service: &Service) -> TokenStream {
    let Method {
        docs,
        client_fn,
        input,
        output,
        constant,
        stream_type,
        ..
    } = method;
    let Service {
        library, module, ..
    } = service;
    let root = names::root();
    let deprecated = method.deprecated();
    let function = stream_type.function();
    let output = match stream_type {
        StreamType::Unary => quote!(#output),
        StreamType::ServerStream => quote!(#root::Streaming<#output, T::Body>),
        StreamType::ClientStream | StreamType::BidiStream => return call_object(method, service),
    };
    quote! {
        #(#docs)*
        ///
        /// # Errors
        ///
        /// The server's error, or what went wrong on the way.
        #deprecated
        pub async fn #client_fn(
            &self,
            request: impl #root::IntoRequest<#input>,
        ) -> ::core::result::Result<#root::Response<#output>, #root::Error> {
            let request = #root::IntoRequest::into_request(request);
            self.client.#function::<#library, _, _>(&#module::#constant, request).await
        }
    }
}

/// A method whose requests are a stream returns at once, with an object to send them by; or it takes them whole.
fn call_object(method: &Method, service: &Service) -> TokenStream {
    let Method {
        docs,
        client_fn,
        client_fn_with,
        client_fn_from,
        input,
        output,
        constant,
        stream_type,
        ..
    } = method;
    let Service {
        library, module, ..
    } = service;
    let root = names::root();
    let deprecated = method.deprecated();
    let function = stream_type.function();
    let (call, function_from, answer) = match stream_type {
        StreamType::ClientStream => (
            quote!(#root::ClientStreamCall<#input, #output, T>),
            names::identifier("client_stream_from"),
            quote!(#output),
        ),
        _ => (
            quote!(#root::BidiCall<#input, #output, T>),
            names::identifier("bidi_stream_from"),
            quote!(#root::Streaming<#output, T::Body>),
        ),
    };
    let plain = client_fn.to_string();
    let plain = plain.trim_start_matches("r#");
    let about = format!(" The same as [`{plain}`](Self::{plain}), with headers and options.");
    let about_from = format!(
        " The same as [`{plain}`](Self::{plain}), with all requests in a stream, or in a `Request` with one."
    );
    quote! {
        #(#docs)*
        ///
        /// Returns at once; the call begins with the first message, or when the first is waited for.
        #deprecated
        #[must_use]
        pub fn #client_fn(&self) -> #call {
            let request = #root::Request::new(());
            self.client.#function::<#library, _, _>(&#module::#constant, request)
        }

        #[doc = #about]
        #deprecated
        #[must_use]
        pub fn #client_fn_with(&self, request: #root::Request<()>) -> #call {
            self.client.#function::<#library, _, _>(&#module::#constant, request)
        }

        #[doc = #about_from]
        ///
        /// # Errors
        ///
        /// The server's error, or what went wrong on the way.
        #deprecated
        pub async fn #client_fn_from(
            &self,
            requests: impl #root::IntoStreamRequest<#input>,
        ) -> ::core::result::Result<#root::Response<#answer>, #root::Error> {
            let request = #root::IntoStreamRequest::into_stream_request(requests);
            self.client.#function_from::<#library, _, _, _>(&#module::#constant, request).await
        }
    }
}
