//! The trait of a service, and the server that turns an implementation into procedures.

use super::{Method, ServiceCode, StreamType, gate, result};
use crate::{
    Config,
    code::Code,
    emit::docs,
    names::{ALLOW, ROOT},
};

pub(super) fn write(service: &ServiceCode<'_>, config: &Config, code: &mut Code) {
    let (name, feature) = (&service.trait_name, config.server_feature.as_ref());
    let fallback = || format!("The service `{}`.", service.full_name);
    docs::write(&service.source.comments, fallback, code);
    code.lines(ALLOW);
    gate(feature, code);
    let head = format!("pub trait {name}: ::core::marker::Send + ::core::marker::Sync + 'static");
    code.block(head, |code| {
        for method in &service.methods {
            trait_method(method, config, code);
        }
    });
    gate(feature, code);
    let (server, full_name) = (&service.server_name, service.full_name);
    code.line(format_args!(
        "{ROOT}::server! {{ {server}, {name}, {full_name:?} }}"
    ));
    code.lines(ALLOW);
    gate(feature, code);
    if service.methods.iter().any(|method| method.deprecated) {
        code.line("#[allow(deprecated)]");
    }
    code.block(
        format_args!("impl<T: {name}> {ROOT}::Service for {server}<T>"),
        |code| {
            code.line(format_args!(
                "const NAME: &'static str = {}::NAME;",
                service.module
            ));
            let head = format!("fn register(self, methods: &mut {ROOT}::Methods)");
            code.block(head, |code| register(service, config, code));
        },
    );
}

pub(super) fn trait_method(method: &Method<'_>, config: &Config, code: &mut Code) {
    let Method {
        trait_fn,
        handled,
        output,
        ..
    } = method;
    let input = match method.stream_type {
        StreamType::Unary | StreamType::ServerStream => handled.clone(),
        StreamType::ClientStream | StreamType::BidiStream => {
            format!("{ROOT}::Streaming<{handled}>")
        }
    };
    let output = match method.stream_type {
        StreamType::Unary | StreamType::ClientStream => output.clone(),
        StreamType::ServerStream | StreamType::BidiStream => {
            format!("{ROOT}::ResponseStream<{output}>")
        }
    };
    method.docs(code);
    method.deprecate(code);
    code.line(format_args!("fn {trait_fn}("));
    code.indented(|code| {
        code.line("&self,");
        code.ty("request: ", &format!("{ROOT}::Request<{input}>"), ",");
    });
    code.line(") -> impl ::core::future::Future<");
    code.indented(|code| code.ty("Output = ", &result(&output), ","));
    let end = "> + ::core::marker::Send";
    if config.default_methods {
        code.block(end, |code| {
            code.line("let _ = request;");
            code.lines(format!(
                "::core::future::ready(::core::result::Result::Err({ROOT}::Error::unimplemented(
    {:?},
)))",
                format!("{} is not implemented", method.procedure)
            ));
        });
    } else {
        code.line(format_args!("{end};"));
    }
}

fn register(service: &ServiceCode<'_>, config: &Config, code: &mut Code) {
    if config.descriptor_set {
        code.line("methods.add_descriptor_set(FILE_DESCRIPTOR_SET);");
    } else if service.methods.is_empty() {
        code.line("let _ = methods;");
    }
    let ServiceCode {
        library, module, ..
    } = service;
    for method in &service.methods {
        let (function, trait_fn) = (method.stream_type.function(), &method.trait_fn);
        let constant = format!("{module}::{}", method.constant);
        code.line("let inner = ::std::sync::Arc::clone(&self.inner);");
        let head = format!("methods.{function}::<{ROOT}::{library}, _, _, _, _>(");
        let line = format!("{head}{constant}, move |request| {{");
        let closure = |code: &mut Code| {
            code.line("let inner = ::std::sync::Arc::clone(&inner);");
            let call = format!("T::{trait_fn}(&inner, request).await");
            code.line(format_args!("async move {{ {call} }}"));
        };
        // rustfmt has less room for the heads of closures.
        if code.fits(line.len() + 2) {
            code.line(line);
            code.indented(closure);
            code.line("});");
        } else {
            code.line(head);
            code.indented(|code| {
                code.line(format_args!("{constant},"));
                code.line("move |request| {");
                code.indented(closure);
                code.line("},");
            });
            code.line(");");
        }
    }
}
