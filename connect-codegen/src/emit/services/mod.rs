//! Services: their names, their constants, and what trait, server and client share.

mod client;
mod server;

use super::{Scope, docs};
use crate::{
    Config,
    code::Code,
    names::{self, ROOT, Taken},
    schema::{self, Source, Views},
};

/// The feature of the user's crate that an item needs.
fn gate(feature: Option<&String>, code: &mut Code) {
    if let Some(feature) = feature {
        code.line(format_args!("#[cfg(feature = {feature:?})]"));
    }
}

/// A service, with all names chosen.
pub(crate) struct ServiceCode<'a> {
    source: &'a Source,
    pub(crate) full_name: &'a str,
    library: &'static str,
    /// The module of the constants.
    module: String,
    pub(crate) trait_name: String,
    pub(crate) server_name: String,
    client_name: String,
    methods: Vec<Method<'a>>,
}

struct Method<'a> {
    source: &'a Source,
    procedure: String,
    deprecated: bool,
    stream_type: StreamType,
    idempotency: Option<&'static str>,
    constant: String,
    trait_fn: String,
    client_fn: String,
    /// Of stream types whose client method takes no message: the same with a request.
    client_fn_with: String,
    /// Of the same: the one that takes a stream of all requests.
    client_fn_from: String,
    input: String,
    /// What the handler takes of it: the message, or its view.
    handled: String,
    output: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum StreamType {
    Unary,
    ClientStream,
    ServerStream,
    BidiStream,
}

impl<'a> ServiceCode<'a> {
    /// Chooses the names, in modules in which those that are `taken` are.
    pub(super) fn new(
        service: &'a schema::Service,
        scope: &Scope,
        views: &Views,
        config: &Config,
        taken: &mut Taken,
    ) -> Self {
        let (full_name, name) = (&service.full_name, &service.rust_name);
        let mut names = MethodNames::default();
        let methods = service.methods.iter();
        let methods =
            methods.map(|method| Method::new(method, full_name, scope, views, &mut names));
        Self {
            source: &service.source,
            library: if config.json { "Prost" } else { "ProstBinary" },
            module: taken.claim(&service.module),
            trait_name: taken.claim(name),
            server_name: taken.claim(&format!("{name}Server")),
            client_name: taken.claim(&format!("{name}Client")),
            methods: methods.collect(),
            full_name,
        }
    }

    /// Its items.
    pub(super) fn write(&self, config: &Config, code: &mut Code) {
        self.constants(code);
        if config.server {
            server::write(self, config, code);
        }
        if config.client {
            client::write(self, config, code);
        }
    }

    /// A method of the trait.
    #[cfg(feature = "command")]
    pub(crate) fn trait_method(&self, index: usize, config: &Config, code: &mut Code) {
        if let Some(method) = self.methods.get(index) {
            server::trait_method(method, config, code);
        }
    }

    /// The module of constants.
    fn constants(&self, code: &mut Code) {
        let (module, name) = (&self.module, self.full_name);
        code.line(format_args!(
            "/// The name and the procedures of the service `{name}`."
        ));
        code.lines(names::ALLOW);
        code.block(format_args!("pub mod {module}"), |code| {
            if !self.methods.is_empty() {
                names::import_from_parent(code);
            }
            code.line("/// The full name of the service.");
            code.line(format_args!("pub const NAME: &str = {name:?};"));
            self.methods.iter().for_each(|method| method.constant(code));
        });
    }
}

/// What a call comes to.
fn result(output: &str) -> String {
    format!("::core::result::Result<{ROOT}::Response<{output}>, {ROOT}::Error>")
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

impl<'a> Method<'a> {
    fn new(
        method: &'a schema::Method,
        service: &str,
        scope: &Scope,
        views: &Views,
        names: &mut MethodNames,
    ) -> Self {
        let procedure = format!("/{service}/{}", method.name);
        let name = &method.rust_name;
        // Without what makes it a name in Rust, if it is not the whole name.
        let plain = name.trim_start_matches("r#").trim_end_matches('_');
        let client_fn = names.client_fns.claim(name);
        let input = scope.path(&method.input.path);
        let view = views.message(&method.input.full_name);
        let handled = match view.filter(|_| method.takes_view) {
            Some(_) => format!("{ROOT}::view::View<{input}>"),
            None => input.clone(),
        };
        Self {
            source: &method.source,
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
            output: scope.path(&method.output.path),
            procedure,
        }
    }

    fn constant(&self, code: &mut Code) {
        let (constant, procedure) = (&self.constant, &self.procedure);
        let stream_type = self.stream_type.name();
        code.line(format_args!("/// `{procedure}`"));
        let (procedure, kind) = (
            format!("{procedure:?}"),
            format!("{ROOT}::StreamType::{stream_type}"),
        );
        let head = format!("pub const {constant}: {ROOT}::Spec =");
        let new = format!("{ROOT}::Spec::new");
        let arguments = [procedure.as_str(), &kind];
        let level = self.idempotency;
        let level = level.map(|level| format!(".with_idempotency({ROOT}::Idempotency::{level});"));
        let mut inner = code.inside();
        match (inner.short_call(&new, &arguments, ""), level) {
            (Some(value), None) => {
                let line = format!("{head} {value};");
                if code.fits(line.len()) {
                    return code.line(line);
                }
                code.line(head);
                inner.line(format_args!("{value};"));
                code.append(&inner);
            }
            (Some(value), Some(level)) => {
                code.line(head);
                inner.line(value);
                inner.line(format_args!("    {level}"));
                code.append(&inner);
            }
            (None, None) => code.call(&format!("{head} {new}"), &arguments, ";"),
            (None, Some(level)) => {
                code.call(&format!("{head} {new}"), &arguments, "");
                code.line(level);
            }
        }
    }

    /// Its documentation.
    fn docs(&self, code: &mut Code) {
        let fallback = || format!("Calls `{}`.", self.procedure);
        docs::write(&self.source.comments, fallback, code);
    }

    /// `#[deprecated]` if the `.proto` file says so.
    fn deprecate(&self, code: &mut Code) {
        if self.deprecated {
            code.line("#[deprecated]");
        }
    }
}

impl StreamType {
    /// The name of the variant of `connect_proto::StreamType`.
    fn name(self) -> &'static str {
        match self {
            Self::Unary => "Unary",
            Self::ClientStream => "ClientStream",
            Self::ServerStream => "ServerStream",
            Self::BidiStream => "BidiStream",
        }
    }

    /// The name of the method of `Methods` and `Client` that serves and makes such calls.
    fn function(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// Methods of every type, which win over methods of the same name that take `&self`.
const BY_VALUE: [&str; 2] = ["into", "try_into"];
