//! Documentation of generated code: the comments of the `.proto` file, made safe for rustdoc, and a
//! line for what has no comment, so that `missing_docs` holds.

use crate::{
    code::Code,
    schema::{Field, Oneof},
};

/// The comment as documentation, or what to say where there is none.
pub(super) fn write(comments: &[String], fallback: impl FnOnce() -> String, code: &mut Code) {
    if comments.iter().all(|line| line.trim().is_empty()) {
        code.line(format_args!("/// {}", fallback()));
        return;
    }
    for line in sanitize(comments) {
        code.line(format_args!("///{line}"));
    }
}

/// Of a field, or a member of a oneof.
pub(super) fn field(field: &Field, code: &mut Code) {
    let fallback = || format!("`{}`, field {}.", field.name, field.number);
    write(&field.source.comments, fallback, code);
}

/// Of the field that holds a oneof.
pub(super) fn oneof(oneof: &Oneof, code: &mut Code) {
    let fallback = || format!("The oneof `{}`.", oneof.name);
    write(&oneof.source.comments, fallback, code);
}

/// Keeps rustdoc from compiling examples in other languages and from finding links and tags that
/// are none.
fn sanitize(lines: &[String]) -> Vec<String> {
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
    /// The lines of a paragraph that has not ended: links and code go over lines.
    paragraph: Vec<String>,
    block: Block,
    in_list: bool,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Block {
    #[default]
    Text,
    Fenced,
    Indented,
}

impl Sanitized {
    fn add(&mut self, line: &str) {
        let text = line.trim_start();
        let indented = line.len() - text.len() > CODE_INDENT;
        if self.block == Block::Indented && !text.is_empty() && !indented {
            self.close();
        }
        match self.block {
            Block::Fenced if is_fence(text) => {
                self.block = Block::Text;
                self.lines.push(line.to_owned());
            }
            Block::Fenced | Block::Indented => self.lines.push(line.to_owned()),
            Block::Text => self.add_text(line),
        }
    }

    fn add_text(&mut self, line: &str) {
        let text = line.trim_start();
        let spaces = &line[..line.len() - text.len()];
        let is_code = spaces.len() > CODE_INDENT && self.paragraph.is_empty();
        if is_fence(text) {
            self.end_paragraph();
            self.block = Block::Fenced;
            self.lines.push(open_fence(text));
        } else if text.is_empty() {
            self.end_paragraph();
            self.lines.push(line.to_owned());
        } else if is_code && self.in_list {
            // A paragraph of the item above.
            self.paragraph.push(format!("    {text}"));
        } else if is_code {
            self.block = Block::Indented;
            self.lines.push(String::from(" ```text"));
            self.lines.push(line.to_owned());
        } else {
            if starts_list(text) {
                self.end_paragraph();
                self.in_list = true;
            } else {
                self.in_list &= spaces.len() > 1;
            }
            self.paragraph.push(line.to_owned());
        }
    }

    fn end_paragraph(&mut self) {
        let text = escape(&self.paragraph.join("\n"));
        self.paragraph.clear();
        self.lines.extend(text.lines().map(str::to_owned));
    }

    /// Ends the last block.
    fn close(&mut self) {
        self.end_paragraph();
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
    if words().all(|word| RUST_WORDS.split(' ').any(|known| known == word)) {
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

/// Escapes what would be an HTML tag or a reference, and marks addresses, in a paragraph outside of its
/// code.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_target = out.ends_with('<') || out.ends_with("](");
        if let (false, false, Some(url)) = (in_code, is_target, url(rest)) {
            out.extend(["<", url, ">"]);
            rest = &rest[url.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let escaped = match c {
            _ if out.ends_with('\\') || in_code && c != '`' => false,
            '`' => {
                // One alone begins no code.
                in_code = !in_code && rest.contains('`');
                false
            }
            '<' => opens_tag(rest),
            '[' => match link_label(rest) {
                Some(label) => {
                    out.extend(["[", label]);
                    rest = &rest[label.len()..];
                    continue;
                }
                None => true,
            },
            _ => false,
        };
        out.extend(escaped.then_some('\\'));
        out.push(c);
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
    let text = &text[..end.unwrap_or(text.len())];
    let url = text.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '"']);
    (url.len() > "https://".len()).then_some(url)
}

fn opens_tag(rest: &str) -> bool {
    let tag = rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
    let is_link = ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| rest.starts_with(scheme));
    tag && !is_link
}

/// What a link shows, if the text goes on as one.
fn link_label(rest: &str) -> Option<&str> {
    let (label, target) = rest.split_once("](")?;
    let is_link = target.starts_with("http") || target.starts_with('#');
    (is_link && !label.contains(['[', ']'])).then_some(label)
}

/// Spaces before code that is marked by nothing else: four, and the one after the slashes.
const CODE_INDENT: usize = 4;

/// What may stand after a fence without making the code something else than Rust.
const RUST_WORDS: &str =
    "rust rs ignore no_run should_panic compile_fail edition2018 edition2021 edition2024";
