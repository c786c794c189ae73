#!/usr/bin/env python3
"""What .ci/rooms.py finds in small crates."""

import tempfile
import unittest
from pathlib import Path

import rooms


def faults(files, order=None):
    """The faults of a crate of these files, without the indented details."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder, "src", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return rooms.check(Path(folder, "src"), order)


CIRCLE = "a circle in src: a -> b -> a"


class Circles(unittest.TestCase):
    def assert_circle(self, a, b, lib="mod a; mod b;", **more):
        found = faults({"lib.rs": lib, "a.rs": a, "b.rs": b, **more})
        self.assertEqual([fault for fault in found if fault[0] != " "], [CIRCLE])
        return found

    def assert_none(self, a, b, lib="mod a; mod b;", **more):
        self.assertEqual(faults({"lib.rs": lib, "a.rs": a, "b.rs": b, **more}), [])

    def test_uses_both_ways(self):
        found = self.assert_circle("\nuse crate::b::B;", "use super::a::A;")
        self.assertTrue(found[1].endswith("a.rs:2: uses crate::b::B"), found)

    def test_uses_one_way(self):
        self.assert_none("use crate::b::B;", "use std::fmt; use bytes::a::A;")

    def test_trees(self):
        self.assert_circle("use crate::{c::X, b::{self, B as C}};", "use crate::{a::*};")

    def test_paths_in_code(self):
        self.assert_circle("fn f() -> crate::b::B { todo!() }", "fn g() { super::a::f::<u8>() }")

    def test_inner_modules(self):
        self.assert_circle("mod inner { use super::super::b::B; }", "use crate::a::A;")
        self.assert_none("mod inner { use super::b; } struct b;", "use crate::a::A;")

    def test_names_that_the_root_hands_on(self):
        lib = "mod a; mod b; pub use self::b::B as Renamed; pub use a::*;"
        self.assert_circle("use crate::Renamed; pub struct A;", "use crate::A;", lib)
        self.assert_none("pub struct A;", "use crate::A;", lib)

    def test_names_that_the_root_defines_belong_to_no_room(self):
        self.assert_none("use crate::Defined;", "use crate::a::A;", "mod a; mod b; pub struct Defined;")

    def test_what_does_not_count(self):
        for text in [
            "// use crate::b::B;",
            "/// [`crate::b::B`]",
            '/* crate::b */ const X: &str = "crate::b::B";',
            'const X: &str = r#"crate::b::"B""#;',
            "#[cfg(test)] mod tests { use crate::b::B; fn f() { if x { } } }",
            "#[cfg(test)]\nuse crate::b::B;",
            "pub(in crate::b) struct A;",
            "fn f<'a>(x: &'a u8) -> char { '\"' } // crate::b",
        ]:
            with self.subTest(text):
                self.assert_none(text, "use crate::a::A;")

    def test_code_after_tests_counts(self):
        self.assert_circle("#[cfg(test)] mod tests { fn f() { '{'; } } use crate::b::B;", "use crate::a::A;")

    def test_test_modules_in_other_files(self):
        lib = "mod a; mod b; #[cfg(test)] mod c;"
        self.assert_none("use crate::b::B;", "", lib, **{"c.rs": "use crate::a::A;"})
        found = faults({"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B; #[cfg(test)] mod tests;", "a/tests.rs": "", "b.rs": ""})
        self.assertEqual(found, [])

    def test_a_folder_and_its_face_are_one_room(self):
        self.assert_circle("mod inner;", "use crate::a::A;", **{"a/inner.rs": "use crate::b::B;"})
        self.assert_none("mod inner; use self::inner::X;", "", **{"a/inner.rs": "use super::A;"})

    def test_folders_inside_folders(self):
        found = faults({"lib.rs": "mod a;", "a/mod.rs": "pub use self::y::Y;", "a/x.rs": "use super::Y;", "a/y/mod.rs": "use crate::a::x::X;"})
        self.assertEqual([fault for fault in found if fault[0] != " "], ["a circle in src/a: x -> y -> x"])


class Order(unittest.TestCase):
    FILES = {"lib.rs": "mod top; mod low;", "top.rs": "", "low.rs": "use crate::top::T;"}

    def test_an_import_that_runs_up(self):
        found = faults(self.FILES, {"top": 0, "low": 1})
        self.assertIn("low is below top and uses it", found[0])
        self.assertEqual(faults(self.FILES, {"top": 1, "low": 0}), [])
        self.assertEqual(faults(self.FILES, {"top": 0, "low": 0}), [])

    def test_the_picture_names_every_room(self):
        self.assertEqual(faults(self.FILES, {"top": 1, "low": 0, "gone": 2}), ["gone is in the picture of ARCHITECTURE.md only"])
        self.assertEqual(faults(self.FILES, {"low": 0}), ["top is not in the picture of ARCHITECTURE.md"])

    def test_pictures(self):
        text = "# A\n\n### `connect-x`\n\nWords.\n\n```text\n client/  server/   who calls\n   call/ b.rs\n```\n### connect-y\n\nNo picture.\n"
        self.assertEqual(rooms.pictures(text), {"connect-x": {"client": 0, "server": 0, "call": 1, "b": 1}})


if __name__ == "__main__":
    unittest.main()
