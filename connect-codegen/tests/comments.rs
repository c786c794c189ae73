//! Comments of `.proto` files as documentation: rustdoc finds in it no code to compile, no link and no tag
//! that the author did not mean.

mod support;

use std::fmt::Write as _;

use connect_codegen::{Config, descriptors, generate};
use support::TempDir;

/// What a message with this comment has as documentation.
#[track_caller]
fn assert_docs(cases: &[(&str, &str)]) {
    let mut proto = String::from("syntax = \"proto3\"; package p;\n");
    for (index, (comment, _)) in cases.iter().enumerate() {
        for line in comment.lines() {
            writeln!(proto, "//{line}").unwrap();
        }
        writeln!(proto, "message M{index} {{}}\n").unwrap();
    }
    let dir = TempDir::new("comments");
    dir.write("a.proto", &proto);
    let set = descriptors(&[dir.path().join("a.proto")], &[dir.path()]).unwrap();
    let files = generate(&set, &["a.proto"], &Config::new().with_json(false)).unwrap();
    let code = files.iter().find(|file| file.name == "p.rs").unwrap();
    let code = syn::parse_file(&code.content).unwrap();
    let mut structs = code.items.into_iter().filter_map(|item| match item {
        syn::Item::Struct(item) => Some(item.attrs),
        _ => None,
    });
    for (comment, expected) in cases {
        let docs = structs.next().unwrap().into_iter().filter_map(|attribute| {
            let value = attribute.meta.require_name_value().ok()?.value.clone();
            match value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            }
        });
        let docs: Vec<_> = docs.collect();
        assert_eq!(docs.join("\n"), *expected, "{comment}");
    }
}

#[test]
fn code_of_other_languages_is_not_compiled() {
    assert_docs(&[
        (" a\n b", " a\n b"),
        (" a\rb", " a b"),
        ("// a", " // a"),
        (" ```\n x := 1\n ```", " ```text\n x := 1\n ```"),
        (" ```rust\n x\n ```\n y", " ```text\n x\n ```\n y"),
        (" ```go\n x\n ```", " ```go\n x\n ```"),
        (" ```\n never closed", " ```text\n never closed\n ```"),
        (
            " For example:\n\n     x := 1\n\n     y\n after",
            " For example:\n\n ```text\n      x := 1\n\n      y\n ```\n after",
        ),
        ("     x := 1", " ```text\n      x := 1\n ```"),
        (" - item\n\n       more of it", " - item\n\n    more of it"),
        (" text\n     continued", " text\n      continued"),
    ]);
}

#[test]
fn brackets_are_no_links_and_no_tags() {
    assert_docs(&[
        (" a <T> b", " a \\<T> b"),
        (" a < b", " a < b"),
        (" `Vec<T>` and <T>", " `Vec<T>` and \\<T>"),
        (" it`s <T>", " it`s \\<T>"),
        (" `over\n lines<T>` <T>", " `over\n lines<T>` \\<T>"),
        (" <http://example.com>", " <http://example.com>"),
        (" [Foo][pkg.Foo]", " \\[Foo]\\[pkg.Foo]"),
        (" \\[x\\]", " \\[x\\]"),
        (" `a[0]`", " `a[0]`"),
    ]);
}

#[test]
fn addresses_are_links_once() {
    assert_docs(&[
        (
            " [x](https://example.com/a_(b))",
            " [x](https://example.com/a_(b))",
        ),
        (
            " [over\n lines](https://example.com)",
            " [over\n lines](https://example.com)",
        ),
        (
            " [x] or [https://example.com](https://example.com)",
            " \\[x] or [https://example.com](https://example.com)",
        ),
        (
            " see https://example.com/a[1].",
            " see <https://example.com/a[1]>.",
        ),
        (" (https://example.com)", " (<https://example.com>)"),
        (" \"https://example.com\",", " \"<https://example.com>\","),
        (
            " https:// and `https://example.com`",
            " https:// and `https://example.com`",
        ),
    ]);
}
