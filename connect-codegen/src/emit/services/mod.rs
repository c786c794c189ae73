//! Services: their names, their constants, and what trait, server and client share.

mod client;
mod server;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Item};

use super::docs;
use crate::{
    Config,
    names::{self, Taken},
    schema::{self, Views},
};

/// The items of a service, for these modules, in which the names that are `taken` are.
pub(super) fn items(
    service: &schema::Service,
    scope: &[String],
    views: &Views,
    config: &Config,
    taken: &mut Taken,
) -> Vec<Item> {
    let service = Service::new(service, scope, views, config, taken);
    let mut items = vec![service.constants()];
    if config.server {
        let server = server::items(&service, config);
        items.extend(gated(server, config.server_feature.as_deref()));
    }
    if config.client {
        let client = client::items(&service);
        items.extend(gated(client, config.client_feature.as_deref()));
    }
    items
}

fn gated(mut items: Vec<Item>, feature: Option<&str>) -> Vec<Item> {
    if let Some(feature) = feature {
        for item in &mut items {
            names::gate(item, feature);
        }
    }
    items
}

/// A service, with all names chosen.
struct Service {
    full_name: String,
    docs: Vec<Attribute>,
    library: TokenStream,
    /// The module of the constants.
    module: Ident,
    trait_name: Ident,
    server_name: Ident,
    client_name: Ident,
    methods: Vec<Method>,
}

struct Method {
    procedure: String,
    docs: Vec<Attribute>,
    deprecated: bool,
    stream_type: StreamType,
    idempotency: Option<&'static str>,
    constant: Ident,
    trait_fn: Ident,
    client_fn: Ident,
    /// Of stream types whose client method takes no message: the same with a request.
    client_fn_with: Ident,
    /// Of the same: the one that takes a stream of all requests.
    client_fn_from: Ident,
    input: TokenStream,
    /// What the handler takes of it: the message, or its view.
    handled: TokenStream,
    output: TokenStream,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum StreamType {
    Unary,
    ClientStream,
    ServerStream,
    BidiStream,
}

impl Service {
    fn new(
        service: &schema::Service,
        scope: &[String],
        views: &Views,
        config: &Config,
        taken: &mut Taken,
    ) -> Self {
        let (full_name, name) = (&service.full_name, &service.rust_name);
        let root = names::root();
        let library = if config.json { "Prost" } else { "ProstBinary" };
        let library = names::identifier(library);
        let mut names = MethodNames::default();
        let methods = service.methods.iter();
        let methods =
            methods.map(|method| Method::new(method, full_name, scope, views, &mut names));
        Self {
            docs: docs::attributes(&service.source.comments, || {
                format!("The service `{full_name}`.")
            }),
            library: quote!(#root::#library),
            module: taken.claim(&service.module),
            trait_name: taken.claim(name),
            server_name: taken.claim(&format!("{name}Server")),
            client_name: taken.claim(&format!("{name}Client")),
            methods: methods.collect(),
            full_name: full_name.clone(),
        }
    }

    /// The module of constants.
    fn constants(&self) -> Item {
        let Self {
            full_name, module, ..
        } = self;
        let import = (!self.methods.is_empty()).then(names::import_from_parent);
        let constants = self.methods.iter().map(Method::constant);
        let about = format!(" The name and the procedures of the service `{full_name}`.");
        syn::parse_quote! {
            #[doc = #about]
            pub mod #module {
                #import
                /// The full name of the service.
                pub const NAME: &str = #full_name;
                #(#constants)*
            }
        }
    }
}

/// Names that methods may not have, or have already.
struct MethodNames {
    constants: Taken,
    trait_fns: Taken,
    client_fns: Taken,
}

impl Default for MethodNames {
    fn default() -> Self {
        Self {
            constants: Taken::new(["NAME"]),
            trait_fns: Taken::default(),
            client_fns: Taken::new(client::OWN_METHODS.into_iter().chain(BY_VALUE)),
        }
    }
}

impl Method {
    fn new(
        method: &schema::Method,
        service: &str,
        scope: &[String],
        views: &Views,
        names: &mut MethodNames,
    ) -> Self {
        let procedure = format!("/{service}/{}", method.name);
        let name = &method.rust_name;
        // Without what makes it a name in Rust, if it is not the whole name.
        let plain = name.trim_start_matches("r#").trim_end_matches('_');
        let client_fn = names.client_fns.claim(name);
        let input = method.input.path.tokens(scope);
        let view = views.message(&method.input.full_name);
        let handled = match view.filter(|_| method.takes_view) {
            Some(_) => {
                let root = names::root();
                quote!(#root::view::View<#input>)
            }
            None => input.clone(),
        };
        Self {
            docs: docs::attributes(&method.source.comments, || format!("Calls `{procedure}`.")),
            deprecated: method.deprecated,
            stream_type: match (method.client_streaming, method.server_streaming) {
                (false, false) => StreamType::Unary,
                (true, false) => StreamType::ClientStream,
                (false, true) => StreamType::ServerStream,
                (true, true) => StreamType::BidiStream,
            },
            idempotency: method.idempotency.map(|level| match level {
                schema::Idempotency::NoSideEffects => "NoSideEffects",
                schema::Idempotency::Idempotent => "Idempotent",
            }),
            constant: names.constants.claim(&plain.to_uppercase()),
            trait_fn: names.trait_fns.claim(name),
            client_fn_with: names.client_fns.claim(&format!("{plain}_with")),
            client_fn_from: names.client_fns.claim(&format!("{plain}_from")),
            client_fn,
            input,
            handled,
            output: method.output.path.tokens(scope),
            procedure,
        }
    }

    fn constant(&self) -> TokenStream {
        let Self {
            procedure,
            constant,
            ..
        } = self;
        let root = names::root();
        let stream_type = self.stream_type.name();
        let idempotency = self.idempotency.map(|level| {
            let level = names::identifier(level);
            quote!(.with_idempotency(#root::Idempotency::#level))
        });
        let about = format!(" `{procedure}`");
        quote! {
            #[doc = #about]
            pub const #constant: #root::Spec =
                #root::Spec::new(#procedure, #root::StreamType::#stream_type) #idempotency;
        }
    }

    /// `#[deprecated]` if the `.proto` file says so.
    fn deprecated(&self) -> Option<TokenStream> {
        self.deprecated.then(|| quote!(#[deprecated]))
    }
}

impl StreamType {
    /// The name of the variant of `connect_proto::StreamType`.
    fn name(self) -> Ident {
        names::identifier(match self {
            Self::Unary => "Unary",
            Self::ClientStream => "ClientStream",
            Self::ServerStream => "ServerStream",
            Self::BidiStream => "BidiStream",
        })
    }

    /// The name of the method of `Methods` and `Client` that serves and makes such calls.
    fn function(self) -> Ident {
        names::identifier(match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        })
    }
}

/// Methods of every type, which win over methods of the same name that take `&self`.
const BY_VALUE: [&str; 2] = ["into", "try_into"];
