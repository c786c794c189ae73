//! Items as text: by prettyplease, but for the macros that have a line per field, which it would fill like paragraphs.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The text of a file.
pub(crate) fn file(file: &syn::File) -> String {
    let text = prettyplease::unparse(file);
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if !MACROS.iter().any(|name| line.trim_start() == *name) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let is_inside = |line: &&str| !line[indent..].starts_with('}');
        let filled: Vec<_> = lines.by_ref().take_while(is_inside).collect();
        match filled.join(" ").parse() {
            Ok(tokens) => push_lines(&mut out, tokens, indent + 4),
            Err(_) => filled.iter().for_each(|line| {
                out.push_str(line);
                out.push('\n');
            }),
        }
        out.push_str(&" ".repeat(indent));
        out.push_str("}\n");
    }
    out
}

/// Breaks the line behind every comma and semicolon that is in no parenthesis.
fn push_lines(out: &mut String, tokens: TokenStream, indent: usize) {
    let margin = " ".repeat(indent);
    let mut at_start = true;
    for token in tokens {
        if at_start {
            out.push_str(&margin);
        }
        at_start = matches!(&token, TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | ';'));
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                out.push_str(" {\n");
                push_lines(out, group.stream(), indent + 4);
                out.push_str(&margin);
                out.push('}');
            }
            token => push_token(out, token),
        }
        if at_start {
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
    }
    if !at_start {
        out.push('\n');
    }
}

fn push_token(out: &mut String, token: TokenTree) {
    match token {
        TokenTree::Group(group) => {
            out.push('(');
            group.stream().into_iter().for_each(|t| push_token(out, t));
            out.push(')');
        }
        TokenTree::Punct(mark) => match mark.as_char() {
            '=' | '+' => out.extend([' ', mark.as_char(), ' ']),
            ',' => out.push_str(", "),
            ':' if mark.spacing() == proc_macro2::Spacing::Joint => out.push(':'),
            ':' if out.ends_with(':') => out.push(':'),
            ':' => out.push_str(": "),
            mark => out.push(mark),
        },
        token => out.push_str(&token.to_string()),
    }
}

/// The lines with which they begin.
const MACROS: [&str; 5] = [
    "connect_rs::unknown_fields::keep! {",
    "connect_rs::json::enumeration! {",
    "connect_rs::json::message! {",
    "connect_rs::json::fields! {",
    "connect_rs::view::message! {",
];
