//! Headers as what carries a context.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// Headers that came.
pub(super) struct Read<'a> {
    headers: &'a HeaderMap,
    /// Those of several fields, as the one list that they are (RFC 9110, section 5.3). Where there may be no list, as in
    /// `traceparent`, it makes no sense, as it should (W3C Trace Context, section 3.2). `None` for what is no text.
    lists: Vec<(&'a HeaderName, Option<String>)>,
}

impl<'a> Read<'a> {
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        let mut lists = Vec::new();
        // Names are counted once, fields each.
        if headers.keys_len() < headers.len() {
            for name in headers.keys() {
                let fields = headers.get_all(name);
                if fields.iter().nth(1).is_some() {
                    let texts = fields.iter().map(|field| field.to_str().ok());
                    let texts: Option<Vec<_>> = texts.collect();
                    lists.push((name, texts.map(|texts| texts.join(","))));
                }
            }
        }
        Self { headers, lists }
    }
}

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match self.lists.iter().find(|(name, _)| *name == key) {
            Some((_, list)) => list.as_deref(),
            None => self.headers.get(key)?.to_str().ok(),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.headers.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Headers that are sent. What cannot stand in a header is left out, and what is empty, such as the state of most traces (W3C
/// Trace Context, section 3.3.1.3).
pub(super) struct Write<'a>(pub(super) &'a mut HeaderMap);

impl Injector for Write<'_> {
    fn set(&mut self, key: &str, value: String) {
        let Ok(name) = HeaderName::try_from(key) else {
            return;
        };
        // What an earlier context has set is not this one's.
        self.0.remove(&name);
        if let Ok(value) = HeaderValue::try_from(value) {
            if !value.is_empty() {
                self.0.insert(name, value);
            }
        }
    }
}
