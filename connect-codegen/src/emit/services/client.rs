//! The client of a service.

use super::{Method, ServiceCode, StreamType, gate, result};
use crate::{
    Config,
    code::Code,
    names::{ALLOW, ROOT},
};

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

pub(super) fn write(service: &ServiceCode<'_>, config: &Config, code: &mut Code) {
    let (name, full_name) = (&service.client_name, service.full_name);
    gate(config.client_feature.as_ref(), code);
    code.line(format_args!("{ROOT}::client! {{ {name}, {full_name:?} }}"));
    code.lines(ALLOW);
    gate(config.client_feature.as_ref(), code);
    let head = format!("impl<T: {ROOT}::Transport> {name}<T>");
    code.block(head, |code| {
        for method in &service.methods {
            match method.stream_type {
                StreamType::Unary | StreamType::ServerStream => function(method, service, code),
                StreamType::ClientStream | StreamType::BidiStream => {
                    call_objects(method, service, code);
                    function_of_stream(method, service, code);
                }
            }
        }
    });
}

/// Takes one message.
fn function(method: &Method<'_>, service: &ServiceCode<'_>, code: &mut Code) {
    let (client_fn, input) = (&method.client_fn, &method.input);
    let argument = format!("request: impl {ROOT}::IntoRequest<{input}>");
    let into = "IntoRequest::into_request(request)";
    method.docs(code);
    waiting(method, client_fn, &argument, into, code, |code| {
        let function = method.stream_type.function();
        call(method, service, function, "_, _", ".await", code);
    });
}

/// A function that waits for the answer: `into` makes the request of its argument, with which `call` calls.
fn waiting(
    method: &Method<'_>,
    name: &str,
    argument: &str,
    into: &str,
    code: &mut Code,
    call: impl FnOnce(&mut Code),
) {
    code.lines(ERRORS);
    method.deprecate(code);
    let head = format!("pub async fn {name}");
    code.signature(&head, &["&self", argument], &result(&answer(method)));
    code.body(|code| {
        code.line(format_args!("let request = {ROOT}::{into};"));
        call(code);
    });
}

/// Two functions that return at once, with an object to send requests by: with headers and options, and without.
fn call_objects(method: &Method<'_>, service: &ServiceCode<'_>, code: &mut Code) {
    let (client_fn, with) = (&method.client_fn, &method.client_fn_with);
    let function = method.stream_type.function();
    let object = match method.stream_type {
        StreamType::ClientStream => "ClientStreamCall",
        _ => "BidiCall",
    };
    let object = format!("{ROOT}::{object}<{}, {}, T>", method.input, method.output);
    method.docs(code);
    code.lines(AT_ONCE);
    method.deprecate(code);
    code.line("#[must_use]");
    code.signature(&format!("pub fn {client_fn}"), &["&self"], &object);
    code.body(|code| {
        code.line(format_args!("let request = {ROOT}::Request::new(());"));
        call(method, service, function, "_, _", "", code);
    });

    let plain = client_fn.trim_start_matches("r#");
    code.line(format_args!(
        "/// The same as [`{plain}`](Self::{plain}), with headers and options."
    ));
    method.deprecate(code);
    code.line("#[must_use]");
    let request = format!("request: {ROOT}::Request<()>");
    code.signature(&format!("pub fn {with}"), &["&self", &request], &object);
    code.body(|code| {
        call(method, service, function, "_, _", "", code);
    });
}

/// Takes a stream of all requests.
fn function_of_stream(method: &Method<'_>, service: &ServiceCode<'_>, code: &mut Code) {
    let (from, input) = (&method.client_fn_from, &method.input);
    let plain = method.client_fn.trim_start_matches("r#");
    code.line(format_args!(
        "/// The same as [`{plain}`](Self::{plain}), with all requests in a stream, or in a `Request` with one."
    ));
    let argument = format!("requests: impl {ROOT}::IntoStreamRequest<{input}>");
    let into = "IntoStreamRequest::into_stream_request(requests)";
    waiting(method, from, &argument, into, code, |code| {
        let function = format!("{}_from", method.stream_type.function());
        call(method, service, &function, "_, _, _", ".await", code);
    });
}

/// The call itself.
fn call(
    method: &Method<'_>,
    service: &ServiceCode<'_>,
    function: &str,
    blanks: &str,
    end: &str,
    code: &mut Code,
) {
    let constant = format!("&{}::{}", service.module, method.constant);
    let head = format!(".{function}::<{ROOT}::{}, {blanks}>", service.library);
    let (arguments, mut chain) = ([constant.as_str(), "request"], code.inside());
    if end.is_empty() && chain.short_call(&head, &arguments, "").is_none() {
        return code.call(&format!("self.client{head}"), &arguments, "");
    }
    chain.call(&head, &arguments, "");
    code.line("self.client");
    code.append(&chain);
    if !end.is_empty() {
        code.line(format_args!("    {end}"));
    }
}

/// What a call is answered with: a message, or a stream of them.
fn answer(method: &Method<'_>) -> String {
    match method.stream_type {
        StreamType::Unary | StreamType::ClientStream => method.output.clone(),
        StreamType::ServerStream | StreamType::BidiStream => {
            format!("{ROOT}::Streaming<{}, T::Body>", method.output)
        }
    }
}

const ERRORS: &str = "///
/// # Errors
///
/// The server's error, or what went wrong on the way.";

const AT_ONCE: &str = "///
/// Returns at once; the call begins with the first message, or when the first is waited for.";
