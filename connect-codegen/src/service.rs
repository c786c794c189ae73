//! Services: their names, their constants, and what trait, server and client share.

mod client;
mod server;

use std::{cell::RefCell, collections::BTreeMap, mem, rc::Rc};

use proc_macro2::{Ident, TokenStream};
use prost_types::method_options::IdempotencyLevel;
use quote::quote;
use syn::{Attribute, Item};

use crate::{
    Config, Error, docs,
    model::join,
    names::{self, Taken},
};

/// The services that prost-build found, with their types resolved; by package.
#[derive(Clone, Default)]
pub(crate) struct Services(Rc<RefCell<BTreeMap<String, Vec<prost_build::Service>>>>);

impl Services {
    pub(crate) fn take(&self, package: &str) -> Vec<prost_build::Service> {
        let mut services = self.0.borrow_mut();
        services.get_mut(package).map(mem::take).unwrap_or_default()
    }
}

impl prost_build::ServiceGenerator for Services {
    fn generate(&mut self, service: prost_build::Service, buf: &mut String) {
        // prost-build must not find the package empty. Services are written later, when the names of
        // all messages are known.
        buf.push_str(PLACEHOLDER);
        let mut services = self.0.borrow_mut();
        services
            .entry(service.package.clone())
            .or_default()
            .push(service);
    }
}

/// Whether this is what stands for services in prost's output.
pub(crate) fn is_placeholder(item: &Item) -> bool {
    matches!(item, Item::Const(item) if item.ident == "_")
}

/// The items of a service. `taken` are the names in the package's module.
pub(crate) fn items(
    service: &prost_build::Service,
    config: &Config,
    taken: &mut Taken,
) -> Result<Vec<Item>, Error> {
    let service = Service::new(service, config, taken)?;
    let mut items = vec![service.constants()];
    if config.server {
        let server = server::items(&service, config);
        items.extend(gated(server, config.server_feature.as_deref()));
    }
    if config.client {
        let client = client::items(&service);
        items.extend(gated(client, config.client_feature.as_deref()));
    }
    Ok(items)
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
    input: syn::Type,
    output: syn::Type,
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
        service: &prost_build::Service,
        config: &Config,
        taken: &mut Taken,
    ) -> Result<Self, Error> {
        let full_name = join(&service.package, &service.proto_name);
        let root = names::root();
        let library = if config.json { "Prost" } else { "ProstBinary" };
        let library = names::identifier(library);
        let mut names = MethodNames::default();
        let methods = service.methods.iter();
        let methods: Result<_, _> = methods
            .map(|method| Method::new(method, service, &full_name, &mut names))
            .collect();
        Ok(Self {
            docs: docs::attributes(&service.comments, &format!("The service `{full_name}`.")),
            library: quote!(#root::#library),
            module: taken.claim(&snake(&service.name)),
            trait_name: taken.claim(&service.name),
            server_name: taken.claim(&format!("{}Server", service.name)),
            client_name: taken.claim(&format!("{}Client", service.name)),
            methods: methods?,
            full_name,
        })
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
        method: &prost_build::Method,
        service: &prost_build::Service,
        service_name: &str,
        names: &mut MethodNames,
    ) -> Result<Self, Error> {
        let procedure = format!("/{service_name}/{}", method.proto_name);
        let resolve = |path: &str| {
            syn::parse_str(path)
                .map_err(|error| Error::new(format!("{procedure}: type {path:?}: {error}")))
        };
        let plain = method.name.trim_start_matches("r#");
        let client_fn = names.client_fns.claim(&method.name);
        let (input, output) = (resolve(&method.input_type)?, resolve(&method.output_type)?);
        let deprecated = method.options.deprecated() || service.options.deprecated();
        Ok(Self {
            docs: docs::attributes(&method.comments, &format!("Calls `{procedure}`.")),
            deprecated,
            stream_type: match (method.client_streaming, method.server_streaming) {
                (false, false) => StreamType::Unary,
                (true, false) => StreamType::ClientStream,
                (false, true) => StreamType::ServerStream,
                (true, true) => StreamType::BidiStream,
            },
            idempotency: match method.options.idempotency_level() {
                IdempotencyLevel::IdempotencyUnknown => None,
                IdempotencyLevel::NoSideEffects => Some("NoSideEffects"),
                IdempotencyLevel::Idempotent => Some("Idempotent"),
            },
            constant: names.constants.claim(&plain.to_uppercase()),
            trait_fn: names.trait_fns.claim(&method.name),
            client_fn_with: names.client_fns.claim(&format!("{plain}_with")),
            client_fn_from: names.client_fns.claim(&format!("{plain}_from")),
            client_fn,
            input,
            output,
            procedure,
        })
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

/// A type's name in snake_case, by prost's rule for modules.
fn snake(name: &str) -> String {
    prost_build::Module::from_protobuf_package_name(name).to_string()
}

const PLACEHOLDER: &str = "const _: () = ();";

/// Methods of every type, which win over methods of the same name that take `&self`.
const BY_VALUE: [&str; 2] = ["into", "try_into"];
