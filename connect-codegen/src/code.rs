//! Code as text: lines, indented by the braces that they are in, and broken where rustfmt breaks them.

use std::fmt::{Display, Write as _};

/// Lines of code.
#[derive(Default)]
pub(crate) struct Code {
    text: String,
    depth: usize,
}

impl Code {
    /// Nothing yet, to stand inside of braces in this code.
    pub(crate) fn inside(&self) -> Self {
        Self {
            text: String::new(),
            depth: self.depth + 1,
        }
    }

    pub(crate) fn line(&mut self, line: impl Display) {
        for _ in 0..self.depth {
            self.text.push_str(INDENT);
        }
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    /// Adds each line of a text.
    pub(crate) fn lines(&mut self, text: impl AsRef<str>) {
        text.as_ref().lines().for_each(|line| self.line(line));
    }

    /// Adds what `body` adds, a step further in.
    pub(crate) fn indented(&mut self, body: impl FnOnce(&mut Self)) {
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    /// Adds what begins with `head`, and in braces what `body` adds.
    pub(crate) fn block(&mut self, head: impl Display, body: impl FnOnce(&mut Self)) {
        let before = self.text.len();
        self.line(format_args!("{head} {{"));
        let opened = self.text.len();
        self.indented(body);
        if self.text.len() == opened {
            self.text.truncate(before);
            self.line(format_args!("{head} {{}}"));
        } else {
            self.line("}");
        }
    }

    /// Adds the head of a function, up to the brace that [`body`](Self::body) closes.
    pub(crate) fn signature(&mut self, head: &str, arguments: &[&str], output: &str) {
        let line = format!("{head}({}) -> {output} {{", arguments.join(", "));
        if self.fits(count(&line)) {
            return self.line(line);
        }
        self.line(format_args!("{head}("));
        self.indented(|code| {
            for argument in arguments {
                let (name, ty) = argument.split_once(": ").unwrap_or(("", argument));
                let separator = if name.is_empty() { "" } else { ": " };
                code.ty(&format!("{name}{separator}"), ty, ",");
            }
        });
        // rustfmt is of two minds about how much room there is.
        let length = count(output);
        if self.fits(length + ") -> ".len() - 2) && !self.fits(length + ") ->  {".len() + 4) {
            self.line(format_args!(") -> {output}"));
            self.line("{");
        } else {
            self.ty(") -> ", output, " {");
        }
    }

    /// Adds what `body` adds, and the brace behind it.
    pub(crate) fn body(&mut self, body: impl FnOnce(&mut Self)) {
        self.indented(body);
        self.line("}");
    }

    /// Adds a call, of which `head` has all but its arguments, with a line for each where they are too long for one.
    pub(crate) fn call(&mut self, head: &str, arguments: &[&str], tail: &str) {
        if let Some(line) = self.short_call(head, arguments, tail) {
            return self.line(line);
        }
        self.line(format_args!("{head}("));
        for argument in arguments {
            self.line(format_args!("{INDENT}{argument},"));
        }
        self.line(format_args!("){tail}"));
    }

    /// Whether this much has room in a line.
    pub(crate) fn fits(&self, chars: usize) -> bool {
        self.depth * INDENT.len() + chars <= WIDTH
    }

    /// Adds a field, with its type on a line of its own where both are too long for one.
    pub(crate) fn field(&mut self, name: &str, ty: &str) {
        let of_both = count(name) + count(ty) + "pub : ,".len();
        if !self.fits(of_both) && self.fits(INDENT.len() + count(ty) + 1) {
            self.line(format_args!("pub {name}:"));
            self.line(format_args!("{INDENT}{ty},"));
        } else {
            self.ty(&format!("pub {name}: "), ty, ",");
        }
    }

    /// Adds a type between what stands before and behind it, with a line for each of its arguments where they
    /// are too long for one.
    pub(crate) fn ty(&mut self, before: &str, ty: &str, behind: &str) {
        match generic(ty) {
            Some((outer, arguments)) if !self.fits(count(before) + count(ty) + count(behind)) => {
                self.line(format_args!("{before}{outer}<"));
                self.indented(|code| {
                    arguments.for_each(|argument| code.ty("", argument, ","));
                });
                self.line(format_args!(">{behind}"));
            }
            _ => self.line(format_args!("{before}{ty}{behind}")),
        }
    }

    /// Adds an arm of a `match`.
    pub(crate) fn arm(&mut self, pattern: &str, value: &str) {
        if self.fits(count(pattern) + count(value) + " => ,".len()) {
            self.line(format_args!("{pattern} => {value},"));
        } else {
            self.block(format_args!("{pattern} =>"), |code| code.line(value));
        }
    }

    /// Adds an attribute, with a line for each part where they are too long for one.
    pub(crate) fn attribute(&mut self, name: &str, parts: &[impl AsRef<str>]) {
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        let whole = parts.join(", ");
        let length = count(&whole);
        if length <= ATTRIBUTE_WIDTH && self.fits(length + name.len() + "#[()]".len()) {
            self.line(format_args!("#[{name}({whole})]"));
            return;
        }
        self.line(format_args!("#[{name}("));
        for (at, part) in parts.iter().enumerate() {
            let comma = if at + 1 < parts.len() { "," } else { "" };
            self.line(format_args!("{INDENT}{part}{comma}"));
        }
        self.line(")]");
    }

    /// Adds a constant whose value is the call of a macro.
    pub(crate) fn constant(&mut self, head: &str, ty: &str, macro_name: &str, arguments: &[&str]) {
        let whole = format!("{head}{ty} = {macro_name}");
        if let Some(line) = self.short_call(&whole, arguments, ";") {
            return self.line(line);
        }
        let fits = self.fits(count(head) + count(ty) + " =".len());
        let mut inner = self.inside();
        match inner.short_call(macro_name, arguments, ";") {
            Some(value) if fits => {
                self.line(format_args!("{head}{ty} ="));
                inner.line(value);
                self.append(&inner);
            }
            Some(value) => self.ty(head, ty, &format!(" = {value}")),
            None => {
                let opening = format!(" = {macro_name}(");
                match fits {
                    true => self.line(format_args!("{head}{ty}{opening}")),
                    false => self.ty(head, ty, &opening),
                }
                for (at, argument) in arguments.iter().enumerate() {
                    let comma = if at + 1 < arguments.len() { "," } else { "" };
                    inner.line(format_args!("{argument}{comma}"));
                }
                self.append(&inner);
                self.line(");");
            }
        }
    }

    /// A call as one line, if there is room.
    pub(crate) fn short_call(&self, head: &str, arguments: &[&str], tail: &str) -> Option<String> {
        let arguments = arguments.join(", ");
        let line = format!("{head}({arguments}){tail}");
        (count(&arguments) <= CALL_WIDTH && self.fits(count(&line))).then_some(line)
    }

    pub(crate) fn append(&mut self, code: &Self) {
        self.text.push_str(&code.text);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A type with arguments, and they.
fn generic(ty: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let (outer, arguments) = ty.strip_suffix('>')?.split_once('<')?;
    let mut depth = 0;
    let arguments = arguments.split(move |c| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    Some((outer, arguments.map(str::trim)))
}

fn count(text: &str) -> usize {
    text.chars().count()
}

const INDENT: &str = "    ";

/// rustfmt's `max_width`.
const WIDTH: usize = 100;

/// rustfmt's `fn_call_width`.
const CALL_WIDTH: usize = 60;

/// rustfmt's `attr_fn_like_width`.
const ATTRIBUTE_WIDTH: usize = 70;
