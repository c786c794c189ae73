//! The trait of a service, and the server that turns an implementation into procedures.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use super::{Method, Service, StreamType};
use crate::{Config, names};

pub(super) fn items(service: &Service, config: &Config) -> Vec<Item> {
    let mut items = vec![service_trait(service, config)];
    items.extend(server(service, config));
    items
}

fn service_trait(service: &Service, config: &Config) -> Item {
    let Service {
        docs, trait_name, ..
    } = service;
    let methods = service
        .methods
        .iter()
        .map(|method| trait_method(method, config));
    syn::parse_quote! {
        #(#docs)*
        pub trait #trait_name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
    }
}

fn trait_method(method: &Method, config: &Config) -> TokenStream {
    let Method {
        docs,
        trait_fn,
        handled,
        output,
        stream_type,
        ..
    } = method;
    let root = names::root();
    let deprecated = method.deprecated();
    let input = match stream_type {
        StreamType::Unary | StreamType::ServerStream => quote!(#handled),
        StreamType::ClientStream | StreamType::BidiStream => quote!(#root::Streaming<#handled>),
    };
    let output = match stream_type {
        StreamType::Unary | StreamType::ClientStream => quote!(#output),
        StreamType::ServerStream | StreamType::BidiStream => quote!(#root::ResponseStream<#output>),
    };
    let body = if config.default_methods {
        let message = format!("{} is not implemented", method.procedure);
        quote! {
            {
                let _ = request;
                ::core::future::ready(::core::result::Result::Err(
                    #root::Error::unimplemented(#message),
                ))
            }
        }
    } else {
        quote!(;)
    };
    quote! {
        #(#docs)*
        #deprecated
        fn #trait_fn(
            &self,
            request: #root::Request<#input>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<#root::Response<#output>, #root::Error>,
        > + ::core::marker::Send
        #body
    }
}

fn server(service: &Service, config: &Config) -> Vec<Item> {
    let Service {
        full_name,
        trait_name,
        server_name,
        module,
        ..
    } = service;
    let root = names::root();
    let routes = service.methods.iter().map(|method| route(method, service));
    let deprecated = service.methods.iter().any(|method| method.deprecated);
    let allow = deprecated.then(|| quote!(#[allow(deprecated)]));
    let routes: Vec<_> = routes.collect();
    let descriptors = config
        .descriptor_set
        .then(|| quote!(methods.add_descriptor_set(FILE_DESCRIPTOR_SET);));
    let unused = (routes.is_empty() && descriptors.is_none()).then(|| quote!(let _ = methods;));
    vec![
        syn::parse_quote!(#root::server!(#server_name, #trait_name, #full_name);),
        syn::parse_quote! {
            #allow
            impl<T: #trait_name> #root::Service for #server_name<T> {
                const NAME: &'static str = #module::NAME;

                fn register(self, methods: &mut #root::Methods) {
                    #unused
                    #descriptors
                    #(#routes)*
                }
            }
        },
    ]
}

fn route(method: &Method, service: &Service) -> TokenStream {
    let Method {
        constant, trait_fn, ..
    } = method;
    let Service {
        library, module, ..
    } = service;
    let function = method.stream_type.function();
    quote! {
        let inner = ::std::sync::Arc::clone(&self.inner);
        methods.#function::<#library, _, _, _, _>(#module::#constant, move |request| {
            let inner = ::std::sync::Arc::clone(&inner);
            async move { T::#trait_fn(&inner, request).await }
        });
    }
}
