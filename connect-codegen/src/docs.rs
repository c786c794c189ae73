//! Documentation of generated code: the comments of the `.proto` file, made safe for rustdoc, and a
//! line for what has no comment, so that `missing_docs` holds.

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Field, Item, ItemEnum, ItemStruct, Lit, Meta, Variant};

use crate::json::ProstAttr;

/// Hides from prost-build what it would escape, inside of code too: it is done here, with more care.
pub(crate) fn protect_comments(file: &mut FileDescriptorProto) {
    let locations = file
        .source_code_info
        .iter_mut()
        .flat_map(|info| &mut info.location);
    for location in locations {
        let comments = [
            &mut location.leading_comments,
            &mut location.trailing_comments,
        ];
        for comment in comments.into_iter().flatten() {
            for (text, hidden) in PROTECTED {
                *comment = comment.replace(text, hidden);
            }
        }
    }
}

/// Documents a message and its fields.
pub(crate) fn document_message(item: &mut ItemStruct, full_name: &str, message: &DescriptorProto) {
    document(&mut item.attrs, || format!("`{full_name}`."));
    for field in &mut item.fields {
        let tag = ProstAttr::of(&field.attrs).tag;
        document_field(field, tag, message);
    }
}

/// Documents the members of a oneof, which are fields of the message.
pub(crate) fn document_oneof(item: &mut ItemEnum, message: Option<&DescriptorProto>) {
    document(&mut item.attrs, || {
        String::from("At most one of several fields.")
    });
    for variant in &mut item.variants {
        let tag = ProstAttr::of(&variant.attrs).tag;
        document(&mut variant.attrs, || describe_field(tag, message));
    }
}

/// Documents an enum and its values.
pub(crate) fn document_enum(
    item: &mut ItemEnum,
    full_name: &str,
    descriptor: &EnumDescriptorProto,
) {
    document(&mut item.attrs, || format!("`{full_name}`."));
    for variant in &mut item.variants {
        document_value(variant, descriptor);
    }
}

/// Makes the documentation of any other item safe.
pub(crate) fn tidy_item(item: &mut Item) {
    if let Item::Mod(item) = item {
        tidy(&mut item.attrs);
    }
}

/// Comment lines as attributes: what services and methods get.
pub(crate) fn attributes(comments: &prost_build::Comments, fallback: &str) -> Vec<Attribute> {
    let mut text = String::new();
    let attached = prost_build::Comments {
        leading_detached: Vec::new(),
        ..comments.clone()
    };
    attached.append_with_indent(0, &mut text);
    let lines: Vec<_> = text
        .lines()
        .map(|line| unprotect(line.strip_prefix("///").unwrap_or(line)))
        .collect();
    let lines = if lines.iter().all(|line| line.trim().is_empty()) {
        vec![format!(" {fallback}")]
    } else {
        sanitize(lines)
    };
    lines.iter().map(|line| attribute(line)).collect()
}

fn document_field(field: &mut Field, tag: Option<i32>, message: &DescriptorProto) {
    let name = field.ident.as_ref().map(ToString::to_string);
    document(&mut field.attrs, || match tag {
        Some(tag) => describe_field(Some(tag), Some(message)),
        None => format!(
            "The oneof `{}`.",
            name.unwrap_or_default().trim_start_matches("r#")
        ),
    });
}

fn describe_field(tag: Option<i32>, message: Option<&DescriptorProto>) -> String {
    let tag = tag.unwrap_or_default();
    let field = message.and_then(|message| message.field.iter().find(|f| f.number() == tag));
    match field {
        Some(field) => format!("`{}`, field {tag}.", field.name()),
        None => format!("Field {tag}."),
    }
}

fn document_value(variant: &mut Variant, descriptor: &EnumDescriptorProto) {
    let number = variant
        .discriminant
        .as_ref()
        .map(|(_, value)| value.to_token_stream().to_string().replace(' ', ""))
        .unwrap_or_default();
    let mut values = descriptor.value.iter();
    let value = values.find(|value| value.number().to_string() == number);
    document(&mut variant.attrs, || match value {
        Some(value) => format!("`{}`, value {number}.", value.name()),
        None => format!("Value {number}."),
    });
}

/// Makes documentation safe, or adds it where there is none.
fn document(attrs: &mut Vec<Attribute>, fallback: impl FnOnce() -> String) {
    tidy(attrs);
    if !attrs.iter().any(|attr| attr.path().is_ident("doc")) {
        attrs.insert(0, attribute(&format!(" {}", fallback())));
    }
}

fn tidy(attrs: &mut Vec<Attribute>) {
    let (docs, others): (Vec<_>, Vec<_>) = attrs.drain(..).partition(is_doc);
    let lines: Vec<_> = docs.iter().filter_map(text_of).collect();
    if !lines.iter().all(|line| line.trim().is_empty()) {
        attrs.extend(sanitize(lines).iter().map(|line| attribute(line)));
    }
    attrs.extend(others);
}

fn is_doc(attr: &Attribute) -> bool {
    attr.path().is_ident("doc")
}

fn text_of(attr: &Attribute) -> Option<String> {
    match &attr.meta {
        Meta::NameValue(meta) => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(unprotect(&text.value())),
            _ => None,
        },
        _ => None,
    }
}

fn unprotect(line: &str) -> String {
    let mut line = line.to_owned();
    for (text, hidden) in PROTECTED {
        line = line.replace(hidden, text);
    }
    line
}

fn attribute(line: &str) -> Attribute {
    syn::parse_quote!(#[doc = #line])
}

/// Keeps rustdoc from compiling examples in other languages and from finding links and tags that
/// are none.
fn sanitize(lines: Vec<String>) -> Vec<String> {
    let mut out = Sanitized::default();
    for line in lines {
        out.add(line);
    }
    out.close();
    out.lines
}

/// What was written so far, and the Markdown block that it ends in.
#[derive(Default)]
struct Sanitized {
    lines: Vec<String>,
    block: Block,
    in_list: bool,
    after_text: bool,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Block {
    #[default]
    Text,
    Fenced,
    Indented,
}

impl Sanitized {
    fn add(&mut self, line: String) {
        let text = line.trim_start();
        let is_blank = text.is_empty();
        let indented = line.len() - text.len() > CODE_INDENT;
        if self.block == Block::Indented && !is_blank && !indented {
            self.close();
        }
        match self.block {
            Block::Fenced => {
                if is_fence(text) {
                    self.block = Block::Text;
                }
                self.lines.push(line);
            }
            Block::Indented => self.lines.push(line),
            Block::Text => self.add_text(&line),
        }
        self.after_text = !is_blank;
    }

    fn add_text(&mut self, line: &str) {
        let text = line.trim_start();
        let (spaces, _) = line.split_at(line.len() - text.len());
        let is_code = spaces.len() > CODE_INDENT && !self.after_text;
        if is_fence(text) {
            self.block = Block::Fenced;
            self.lines.push(open_fence(text));
        } else if is_code && self.in_list {
            // A paragraph of the item above.
            self.lines.push(format!("    {}", escape(text)));
        } else if is_code && !text.is_empty() {
            self.block = Block::Indented;
            self.lines.push(String::from(" ```text"));
            self.lines.push(line.to_owned());
        } else {
            let in_item = self.in_list && (text.is_empty() || spaces.len() > 1);
            self.in_list = starts_list(text) || in_item;
            self.lines.push(format!("{spaces}{}", escape(text)));
        }
    }

    /// Ends a block of code.
    fn close(&mut self) {
        if self.block != Block::Text {
            self.lines.push(String::from(" ```"));
            self.block = Block::Text;
        }
    }
}

fn is_fence(text: &str) -> bool {
    text.starts_with("```") || text.starts_with("~~~")
}

/// A fence without a language would be Rust, and so would one that says so.
fn open_fence(text: &str) -> String {
    let marker = &text[..3];
    let info = text[3..].trim();
    let words = || info.split([',', ' ']).filter(|word| !word.is_empty());
    if words().all(|word| RUST_WORDS.contains(&word)) {
        format!(" {marker}text")
    } else {
        format!(" {marker}{info}")
    }
}

fn starts_list(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = rest.len() < text.len() && (rest.starts_with(". ") || rest.starts_with(") "));
    numbered || ["- ", "* ", "+ "].iter().any(|mark| text.starts_with(mark))
}

/// Escapes what would be an HTML tag or a reference, and marks addresses, outside of code spans.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    let mut previous = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !in_code && !matches!(previous, '<' | '(' | '"') {
            if let Some(url) = url(rest) {
                out.extend(["<", url, ">"]);
                rest = &rest[url.len()..];
                previous = '>';
                continue;
            }
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '`' => in_code = !in_code,
            '<' if !in_code && previous != '\\' && opens_tag(rest) => out.push('\\'),
            '[' if !in_code && previous != '\\' && !opens_link(rest) => out.push('\\'),
            _ => {}
        }
        out.push(c);
        previous = c;
    }
    out
}

/// The address that the text starts with, without the punctuation of the sentence around it.
fn url(text: &str) -> Option<&str> {
    if !["http://", "https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return None;
    }
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '`' | ')'));
    let url = text[..end.unwrap_or(text.len())]
        .trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '"']);
    (url.len() > "https://".len()).then_some(url)
}

fn opens_tag(rest: &str) -> bool {
    let tag = rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
    let is_link = ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| rest.starts_with(scheme));
    tag && !is_link
}

fn opens_link(rest: &str) -> bool {
    let target = rest.split_once("](").map(|(_, target)| target);
    target.is_some_and(|target| target.starts_with("http") || target.starts_with('#'))
}

/// Spaces before code that is marked by nothing else: four, and the one after the slashes.
const CODE_INDENT: usize = 4;

/// What prost-build escapes, and what it does not know.
const PROTECTED: [(&str, &str); 3] = [("[", "\u{e000}"), ("]", "\u{e001}"), ("://", "\u{e002}")];

/// What may stand after a fence without making the code something else than Rust.
const RUST_WORDS: [&str; 9] = [
    "rust",
    "rs",
    "ignore",
    "no_run",
    "should_panic",
    "compile_fail",
    "edition2018",
    "edition2021",
    "edition2024",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sanitized(text: &str) -> String {
        let lines = text.lines().map(str::to_owned).collect();
        sanitize(lines).join("\n")
    }

    #[test]
    fn code_of_other_languages_is_not_compiled() {
        for (comment, doc) in [
            (" a\n b", " a\n b"),
            (" ```\n x := 1\n ```", " ```text\n x := 1\n ```"),
            (" ```rust\n x\n ```\n y", " ```text\n x\n ```\n y"),
            (" ```go\n x\n ```", " ```go\n x\n ```"),
            (" ```\n never closed", " ```text\n never closed\n ```"),
            (
                " For example:\n\n     x := 1\n\n     y\n after",
                " For example:\n\n ```text\n     x := 1\n\n     y\n ```\n after",
            ),
            ("     x := 1", " ```text\n     x := 1\n ```"),
            (" - item\n\n       more of it", " - item\n\n    more of it"),
            (" text\n     continued", " text\n     continued"),
        ] {
            assert_eq!(sanitized(comment), doc, "{comment}");
        }
    }

    #[test]
    fn brackets_are_no_links_and_no_tags() {
        for (comment, doc) in [
            (" a <T> b", " a \\<T> b"),
            (" a < b", " a < b"),
            (" `Vec<T>` and <T>", " `Vec<T>` and \\<T>"),
            (" <http://example.com>", " <http://example.com>"),
            (" [Foo][pkg.Foo]", " \\[Foo]\\[pkg.Foo]"),
            (" \\[x\\]", " \\[x\\]"),
            (
                " [x](https://example.com/a_(b))",
                " [x](https://example.com/a_(b))",
            ),
            (
                " see https://example.com/a[1].",
                " see <https://example.com/a[1]>.",
            ),
            (" (https://example.com)", " (https://example.com)"),
            (
                " https:// and `https://example.com`",
                " https:// and `https://example.com`",
            ),
            (" `a[0]`", " `a[0]`"),
        ] {
            assert_eq!(sanitized(comment), doc, "{comment}");
        }
    }
}
