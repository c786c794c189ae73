//! The client of a service.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use super::{Method, Service, StreamType, server::debug_impl};
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
    let about = format!(" Calls `{full_name}` over a transport.");
    vec![
        syn::parse_quote! {
            #[doc = #about]
            #[derive(Clone)]
            pub struct #client_name<T> {
                client: #root::Client<T>,
            }
        },
        debug_impl(client_name),
        syn::parse_quote! {
            impl<T: #root::Transport> #client_name<T> {
                /// A client with default settings: the Connect protocol and the codec `proto`.
                #[must_use]
                pub fn new(transport: T) -> Self {
                    Self::from_client(#root::Client::new(transport))
                }

                /// A client with the settings, codecs, interceptors and observers of another, which any number
                /// of services can share.
                #[must_use]
                pub fn from_client(client: #root::Client<T>) -> Self {
                    Self { client }
                }

                /// Sets protocol, codec, compression, limits and the rest.
                #[must_use]
                pub fn with_config(self, config: #root::ClientConfig) -> Self {
                    Self::from_client(self.client.with_config(config))
                }

                /// Sets the codecs that the configured name may stand for.
                #[must_use]
                pub fn with_codecs(self, codecs: #root::Codecs) -> Self {
                    Self::from_client(self.client.with_codecs(codecs))
                }

                /// Sets the timer that deadlines are kept with: the transport's by default.
                #[must_use]
                pub fn with_timer(self, timer: #root::SharedTimer) -> Self {
                    Self::from_client(self.client.with_timer(timer))
                }

                /// Whether calls end no later than the one that is being served where they begin. Default: not.
                #[must_use]
                pub fn with_deadline_propagation(self, propagate: bool) -> Self {
                    Self::from_client(self.client.with_deadline_propagation(propagate))
                }

                /// Sets how often a request is sent again that the server did not begin.
                #[must_use]
                pub fn with_resends(self, resends: #root::Resends) -> Self {
                    Self::from_client(self.client.with_resends(resends))
                }

                /// Sets how many bytes of a stream of requests are kept to be sent again. Default: 64 KiB.
                #[must_use]
                pub fn with_max_replay_bytes(self, bytes: usize) -> Self {
                    Self::from_client(self.client.with_max_replay_bytes(bytes))
                }

                /// Sets, by procedure, service or for all calls, what is retried or hedged, what waits for a connection, and
                /// timeouts. Default: nothing.
                #[must_use]
                pub fn with_service_config(self, config: #root::ServiceConfig) -> Self {
                    Self::from_client(self.client.with_service_config(config))
                }

                /// Retries calls by this policy. Default: not.
                #[must_use]
                pub fn with_retry(self, policy: #root::RetryPolicy) -> Self {
                    Self::from_client(self.client.with_retry(policy))
                }

                /// Adds an interceptor, inside of those that are there.
                #[must_use]
                pub fn add_interceptor(self, interceptor: impl #root::Interceptor) -> Self
                where
                    T: #root::Transport<
                            Body: ::core::marker::Send + 'static,
                            Future: ::core::marker::Send,
                        > + ::core::marker::Send + ::core::marker::Sync + 'static,
                {
                    Self::from_client(self.client.add_interceptor(interceptor))
                }

                /// Adds an observer, inside of those that are there, and outside of interceptors.
                #[must_use]
                pub fn add_observer(self, observer: impl #root::Observer) -> Self {
                    Self::from_client(self.client.add_observer(observer))
                }

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
