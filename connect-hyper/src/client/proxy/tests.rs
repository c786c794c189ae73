use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    client::{connector::Connector, settings::Settings},
    test_runtime::NoRuntime,
};

/// The entries of a test's environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

fn found(variables: Variables<'_>, uri: &str) -> Option<Proxy> {
    let uri: Uri = uri.parse().unwrap();
    let is_tls = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let variable = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    from_environment(variable, is_tls, (host, port)).unwrap()
}

#[test]
fn the_environment_names_a_proxy_for_each_scheme() {
    let both: Variables<'_> = &[("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")];
    for (variables, uri, proxy) in [
        (both, "http://example.com", Some("http://a:1")),
        (both, "https://example.com", Some("http://b:2")),
        (&[], "http://example.com", None),
        (&[("HTTP_PROXY", "")], "http://example.com", None),
        (&[("HTTP_PROXY", "a:1")], "https://example.com", None),
        (
            &[("https_proxy", "a:1")],
            "https://example.com",
            Some("http://a:1"),
        ),
        // An empty one is none.
        (
            &[("HTTPS_PROXY", ""), ("https_proxy", "a:1")],
            "https://example.com",
            Some("http://a:1"),
        ),
        (
            &[("http_proxy", " "), ("REQUEST_METHOD", "GET")],
            "http://example.com",
            None,
        ),
        (
            &[("ALL_PROXY", " http://u:p@a ")],
            "http://example.com",
            Some("http://a"),
        ),
        (
            &[("all_proxy", "http://a/")],
            "https://example.com",
            Some("http://a"),
        ),
        // RFC 3875, section 4.1.18: what a client says.
        (
            &[("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")],
            "http://example.com",
            None,
        ),
        (
            &[("http_proxy", "http://a"), ("REQUEST_METHOD", "GET")],
            "http://example.com",
            Some("http://a"),
        ),
        // This machine.
        (both, "http://localhost:8080", None),
        (both, "http://127.0.0.2", None),
        (both, "https://[::1]:9", None),
    ] {
        assert_eq!(
            found(variables, uri).map(|it| it.to_string()).as_deref(),
            proxy,
            "{variables:?} {uri}"
        );
    }
}

#[test]
fn each_endpoint_may_be_excepted() {
    let environment: Variables<'_> =
        &[("HTTP_PROXY", "http://a"), ("NO_PROXY", "10.0.0.0/8,b.org")];
    let of_environment = found(environment, "http://greet.internal").unwrap();
    let named = Proxy::parse("http://a").unwrap();
    for (endpoint, is_excepted) in [
        ("127.0.0.1:8080", true),
        ("[::1]:8080", true),
        ("localhost:8080", true),
        ("10.1.2.3:8080", true),
        ("a.b.org:8080", true),
        ("192.0.2.1:8080", false),
        ("greet.internal:80", false),
    ] {
        let endpoint: EndpointAddress = endpoint.parse().unwrap();
        assert_eq!(of_environment.is_for(&endpoint), !is_excepted, "{endpoint}");
        assert!(named.is_for(&endpoint), "{endpoint}");
    }
    let both = ["192.0.2.1:1", "10.0.0.1:1"].map(|it| it.parse().unwrap());
    assert!(!of_environment.is_for(&EndpointAddress::sockets(both)));
    assert!(!named.is_for(&EndpointAddress::unix("/run/app.sock")));
}

#[test]
fn an_excepted_endpoint_is_connected_to() {
    let environment: Variables<'_> = &[("HTTP_PROXY", "http://a")];
    let proxy = found(environment, "http://greet.internal").unwrap();
    let connector = Connector::Proxy(Arc::new(proxy));
    let runtime = NoRuntime::default();
    let reach = |ip: [u8; 4]| {
        let address = SocketAddr::from((ip, NoRuntime::TAKES)).into();
        let settings = Settings::default();
        let reaching = connector.reach(&runtime, &address, &settings);
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(reaching).poll(&mut cx) {
            Poll::Ready(reached) => reached.map(|it| it.name),
            Poll::Pending => panic!("nothing waits here"),
        }
    };
    assert_eq!(reach([127, 0, 0, 1]).unwrap(), "127.0.0.1:3");
    let error = reach([192, 0, 2, 1]).unwrap_err().to_string();
    assert!(
        error.starts_with("proxy http://a for 192.0.2.1:3: "),
        "{error}"
    );
}

#[test]
fn no_proxy_excepts_servers() {
    for (no_proxy, host, port, excepted) in [
        ("", "example.com", 80, false),
        ("*", "example.com", 80, true),
        ("example.com", "example.com", 80, true),
        ("example.com", "EXAMPLE.com.", 80, true),
        ("example.com", "a.example.com", 80, true),
        ("example.com", "badexample.com", 80, false),
        ("example.com", "example.com.org", 80, false),
        (".example.com", "a.example.com", 80, true),
        (".example.com", "example.com", 80, true),
        ("*.example.com", "a.example.com", 80, true),
        ("a.org, example.com ,", "example.com", 80, true),
        (",", "example.com", 80, false),
        (".", "example.com", 80, false),
        ("example.com:80", "example.com", 80, true),
        ("example.com:80", "example.com", 443, false),
        ("192.0.2.1", "192.0.2.1", 80, true),
        ("192.0.2.1", "192.0.2.10", 80, false),
        ("192.0.2.1:80", "192.0.2.1", 443, false),
        ("2.1", "192.0.2.1", 80, false),
        ("10.0.0.0/8", "10.1.2.3", 80, true),
        ("10.0.0.0/8", "11.1.2.3", 80, false),
        ("10.0.0.0/8", "example.com", 80, false),
        ("10.0.0.0/33", "10.0.0.0", 80, false),
        ("0.0.0.0/0", "203.0.113.9", 80, true),
        ("0.0.0.0/0", "2001:db8::1", 80, false),
        ("2001:db8::/32", "2001:db8:1::1", 80, true),
        ("2001:db8::/32", "2001:db9::1", 80, false),
        ("2001:db8::1", "2001:db8::1", 80, true),
        ("[2001:db8::1]:80", "2001:db8::1", 80, true),
        ("[2001:db8::1]:80", "2001:db8::1", 81, false),
        ("[2001:db8::1]", "2001:db8::1", 80, true),
        ("[2001:db8::1]", "2001:db8::2", 80, false),
        // What cannot be read excepts nothing.
        ("example.com:abc", "example.com", 80, false),
        ("example.com:", "example.com", 80, false),
        ("example.com:65616", "example.com", 80, false),
        ("[2001:db8::1]:abc", "2001:db8::1", 80, false),
    ] {
        let is = is_excepted(no_proxy, host, port);
        assert_eq!(is, excepted, "{no_proxy:?} {host}:{port}");
    }
}

#[test]
fn a_proxy_is_read_and_shown_without_its_password() {
    let proxy = Proxy::parse("http://ada:p%40ss@proxy.example:3128").unwrap();
    assert_eq!(proxy.address(), ("proxy.example", 3128));
    assert_eq!(proxy.to_string(), "http://proxy.example:3128");
    assert_eq!(format!("{proxy:?}"), "http://proxy.example:3128");
    let credentials = proxy.credentials.unwrap();
    // ada:p@ss
    assert_eq!(credentials, "Basic YWRhOnBAc3M=");
    let proxy = Proxy::parse("http://[::1]").unwrap();
    assert_eq!(proxy.address(), ("::1", 80));
    assert_eq!(proxy.credentials, None);
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused() {
    for (text, why) in [
        ("", "empty"),
        ("https://proxy:1", "only HTTP is spoken"),
        ("socks5://proxy:1", "only HTTP is spoken"),
        ("http://:3128", "no host"),
        ("http://proxy:99999", "port"),
        ("http://[::1]:99999", "port"),
        ("http://ada:secret@", "invalid authority"),
        ("/proxy", "no host"),
    ] {
        let error = Proxy::parse(text).unwrap_err();
        assert!(error.message().contains(why), "{text}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
}
