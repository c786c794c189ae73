//! How prost names things in Rust, so that code of both is interchangeable.

use heck::{ToShoutySnakeCase as _, ToSnakeCase as _, ToUpperCamelCase as _};

/// A field's, method's or module's name.
pub(crate) fn snake(name: &str) -> String {
    valid(name.to_snake_case())
}

/// A type's or variant's name.
pub(super) fn camel(name: &str) -> String {
    valid(name.to_upper_camel_case())
}

/// A constant's name.
pub(super) fn shouty(name: &str) -> String {
    valid(name.to_shouty_snake_case())
}

/// The name of an enum's value: without the enum's name before it.
pub(super) fn variant(value: &str, enumeration: &str) -> String {
    let name = camel(value);
    let short = name.strip_prefix(&camel(enumeration));
    let short = short.filter(|short| short.starts_with(char::is_uppercase));
    short.map(|short| valid(short.to_owned())).unwrap_or(name)
}

/// The modules of a package.
pub(crate) fn module_of(package: &str) -> Vec<String> {
    let parts = package.split('.').filter(|part| !part.is_empty());
    parts.map(snake).collect()
}

/// A name that is none in Rust gets `r#` before it, or an underscore.
fn valid(name: String) -> String {
    if name.is_empty() {
        // There were but underscores.
        String::from("unnamed")
    } else if RAW.contains(&name.as_str()) {
        format!("r#{name}")
    } else if NEVER_RAW.contains(&name.as_str()) {
        format!("{name}_")
    } else if name.starts_with(char::is_numeric) {
        format!("_{name}")
    } else {
        name
    }
}

/// The lowerCamelCase name of JSON, as protoc makes it.
pub(super) fn json_name(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}

/// Keywords, current and reserved, of every edition of Rust.
const RAW: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static",
    "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Keywords that no `r#` makes names, and a constant of our own.
const NEVER_RAW: [&str; 7] = [
    "_",
    "super",
    "self",
    "Self",
    "extern",
    "crate",
    "FILE_DESCRIPTOR_SET",
];
