//! Documentation of generated code: the comments of the `.proto` file, made safe for rustdoc, and a
//! line for what has no comment, so that `missing_docs` holds.

use syn::Attribute;

/// The comment as attributes, or what to say where there is none.
pub(super) fn attributes(comments: &[String], fallback: impl FnOnce() -> String) -> Vec<Attribute> {
    let lines = if comments.iter().all(|line| line.trim().is_empty()) {
        vec![format!(" {}", fallback())]
    } else {
        sanitize(comments)
    };
    lines
        .iter()
        .map(|line| syn::parse_quote!(#[doc = #line]))
        .collect()
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
    fn add(&mut self, line: &str) {
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
                self.lines.push(line.to_owned());
            }
            Block::Indented => self.lines.push(line.to_owned()),
            Block::Text => self.add_text(line),
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
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        sanitize(&lines).join("\n")
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
