//! The little of JavaScript that is needed, found in whatever the global scope is: a window, a worker, Node.js.

use connect_tower::{Error, Sent, TransportError};
use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortController;

/// A function of the global scope.
pub(crate) fn function(name: &str) -> Option<Function> {
    get(&js_sys::global(), name)?.dyn_into().ok()
}

/// A property that is there.
pub(crate) fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &name.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

/// What was thrown, in its own words.
pub(crate) fn describe(thrown: &JsValue) -> String {
    let text = |name| get(thrown, name).and_then(|value| value.as_string());
    match (text("name"), text("message")) {
        (Some(name), Some(message)) if !message.is_empty() => format!("{name}: {message}"),
        (Some(name), _) => name,
        _ => format!("{thrown:?}"),
    }
}

/// Whether what was thrown says that somebody has aborted the request.
pub(crate) fn is_abort(thrown: &JsValue) -> bool {
    get(thrown, "name").is_some_and(|name| name == "AbortError")
}

/// Something that the scope does not have, or refuses: nothing was sent.
pub(crate) fn refused(doing: &str, thrown: &JsValue) -> TransportError {
    let message = format!("the request was not sent: {doing}: {}", describe(thrown));
    TransportError::new(Sent::No, Error::internal(message))
}

/// Aborts a request when it is dropped; that of one which is over has no effect.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
