#!/usr/bin/env python3
"""No circles among the modules of a crate, and no import that runs up.

    .ci/rooms.py [CRATE...]     checks these folders, or every crate of the checkout

A room is a file or folder directly under src/, and inside each folder alike. The face of a folder (lib.rs, mod.rs, or the
file that bears the folder's name) is apart: it only names what is below it, and an import through a face counts as an
import of the room that the face takes the name from. Tests, comments and strings do not count.

The order of a crate's rooms is its picture in ARCHITECTURE.md: the first code block below the heading "### <crate>", top
first. A room may use those on its own line and on the lines below. Names that end in `/` or `.rs` are rooms; other words
are notes.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

MASK = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<h>\#*)".*?"(?P=h)|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]*?|[^'\\\n])'""", re.S
)
TOKEN = re.compile(r"[A-Za-z_]\w*|::|[^\s\w]|\d\w*")
CFG_TEST = re.compile(r"#\s*\[\s*cfg\s*\(\s*(?:all\s*\(\s*)?test\b[^\]]*\]")
ITEM = re.compile(r"\b(?:struct|enum|trait|fn|type|const|static|union|mod)\s+([A-Za-z_]\w*)")
OUTER_MODULE = re.compile(r"(?:pub\s*(?:\([^)]*\))?\s*)?mod\s+(\w+)\s*;")


@dataclass
class Import:
    """One path of a `use`, or one written out in code, from the crate's root."""

    path: list
    name: str
    line: int
    is_use: bool


@dataclass
class Module:
    """One file. `path` is its place in the crate: () for lib.rs, ("client", "pool") for client/pool.rs."""

    path: tuple
    file: Path
    imports: list = field(default_factory=list)
    defined: set = field(default_factory=set)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_tests(text):
    """The code with comments, strings and items under #[cfg(test)] blanked, and the names of test modules in other files."""
    text = MASK.sub(lambda m: blank(m.group()), text)
    tests = set()
    while found := CFG_TEST.search(text):
        end, depth = found.end(), 0
        while end < len(text):
            char = text[end]
            end += 1
            depth += char in "{(["
            depth -= char in "})]"
            if depth == 0 and char in ";}":
                break
        if module := OUTER_MODULE.search(text, found.end(), end):
            tests.add(module.group(1))
        text = text[: found.start()] + blank(text[found.start() : end]) + text[end:]
    return text, tests


def expand(tokens, at, prefix):
    """The paths of a use tree that begins at a token: (path, name, next token)."""
    path, found = list(prefix), []
    while at < len(tokens):
        token = tokens[at]
        if token == "{":
            at += 1
            while tokens[at] != "}":
                inner, at = expand(tokens, at, path)
                found += inner
                at += tokens[at] == ","
            return found, at + 1
        if token in {",", "}", ";"}:
            break
        if token == "as":
            at += 1
            return [(path, tokens[at])], at + 1
        if token != "::":
            path.append(token)
        at += 1
    if path and path[-1] == "self":
        path.pop()
    return [(path, path[-1])] if path else [], at


def absolute(path, here):
    """A path from the crate's root, or None if it names another crate."""
    if path[0] == "crate":
        return path[1:]
    if path[0] == "self":
        return [*here, *path[1:]]
    if path[0] != "super":
        return None
    here = list(here)
    while path and path[0] == "super":
        here, path = here[:-1], path[1:]
    return [*here, *path]


def read(module, children):
    """Fills in what a file imports and defines; gives the names of its modules that are tests."""
    text, tests = without_tests(module.file.read_text())
    found = [(m.group(), text.count("\n", 0, m.start()) + 1) for m in TOKEN.finditer(text)]
    tokens = [token for token, _ in found]
    inline, depth, at = [], 0, 0
    while at < len(tokens):
        token = tokens[at]
        here = (*module.path, *(name for name, _ in inline))
        if token == "{":
            depth += 1
            if tokens[max(at - 2, 0)] == "mod":
                inline.append((tokens[at - 1], depth))
        elif token == "}":
            if inline and inline[-1][1] == depth:
                inline.pop()
            depth -= 1
        elif token == "pub" and tokens[at + 1] == "(":
            at = tokens.index(")", at)
        elif token == "use" and tokens[at + 1] != "<":
            paths, end = expand(tokens, at + 1, [])
            for path, name in paths:
                # In the face of a folder the names of its modules need no `self::`.
                path = ["self", *path] if not inline and path[0] in children else path
                if (target := absolute(path, here)) is not None:
                    module.imports.append(Import(target, name, found[at][1], True))
            at = end
        elif token in {"crate", "super", "self"} and tokens[at + 1 : at + 2] == ["::"] and tokens[at - 1] not in {"::", "$"}:
            path = [token]
            line = found[at][1]
            while tokens[at + 1 : at + 2] == ["::"] and re.match(r"[A-Za-z_]", tokens[at + 2]):
                at += 2
                path.append(tokens[at])
            target = absolute(path, here)
            module.imports.append(Import(target, path[-1], line, False))
        at += 1
    module.defined = set(ITEM.findall(text))
    return tests


def load(src):
    """The modules of a crate by path, without tests and generated code."""
    modules = {}
    for file in sorted(src.rglob("*.rs")):
        parts = list(file.relative_to(src).with_suffix("").parts)
        if parts[-1] in {"mod", "lib", "main"}:
            parts.pop()
        if {"generated", "bin", "tests"} & set(parts) or (tuple(parts) in modules):
            continue
        modules[tuple(parts)] = Module(tuple(parts), file)
    tests = set()
    for path, module in modules.items():
        children = {other[-1] for other in modules if other[:-1] == path and other}
        tests |= {(*path, name) for name in read(module, children)}
    return {path: m for path, m in modules.items() if not any(path[: len(test)] == test for test in tests)}


def places(modules):
    """Every file and every folder, also a folder without a face."""
    return {path[:n] for path in modules for n in range(len(path) + 1)}


def resolve(modules, path, user, seen=()):
    """The module that an import by `user` lands in. Faces above the user are looked through."""
    known, here = places(modules), ()
    for index, name in enumerate(path):
        if (*here, name) in known:
            here = (*here, name)
            continue
        face = modules.get(here)
        if face is None or user[: len(here)] != here or name in face.defined:
            return here
        for item in (item for item in face.imports if item.is_use):
            rest = path[index + 1 :]
            if item.name == name and (here, name) not in seen:
                return resolve(modules, [*item.path, *rest], user, (*seen, (here, name)))
            if item.name == "*":
                target = resolve(modules, item.path[:-1], user, seen)
                other = modules.get(target)
                if other and (name in other.defined or any(i.name == name for i in other.imports if i.is_use)):
                    return target
        return here
    return here


def edges(modules):
    """For each folder: from room to room, the first import that says so."""
    found = {}
    for module in modules.values():
        for item in module.imports:
            target = resolve(modules, item.path, module.path)
            shared = 0
            while shared < min(len(target), len(module.path)) and target[shared] == module.path[shared]:
                shared += 1
            if shared < len(target) and shared < len(module.path):
                level = found.setdefault(module.path[:shared], {})
                where = f"{module.file}:{item.line}: uses {'::'.join(['crate', *item.path])}"
                level.setdefault(module.path[shared], {}).setdefault(target[shared], where)
    return found


def circles(graph):
    """The groups of rooms that reach each other, each as one circle of rooms, the shortest through its first."""
    done, found = set(), []
    for start in sorted(graph):
        if start in done:
            continue
        queue, shortest = [[start]], None
        visited = set()
        while queue and not shortest:
            walk = queue.pop(0)
            for step in sorted(graph.get(walk[-1], {})):
                if step == start:
                    shortest = walk
                    break
                if step not in visited:
                    visited.add(step)
                    queue.append([*walk, step])
        if shortest:
            done |= set(shortest)
            found.append(shortest)
    return found


def pictures(text):
    """The order of rooms by crate: for each room the number of its line."""
    found, crate, inside = {}, None, False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
            if not inside:
                crate = None
        elif line.startswith("#") and not inside:
            heading = re.fullmatch(r"### `?([\w-]+)`?", line)
            crate = heading and heading.group(1)
        elif inside and crate:
            order = found.setdefault(crate, {})
            rooms = re.findall(r"(?<![\w/.])(\w+(?:/|\.rs))(?![\w/])", line)
            floor = max(order.values(), default=-1) + 1
            order.update((room.removesuffix("/").removesuffix(".rs"), floor) for room in rooms)
    return found


def check(src, order):
    """What is wrong with the crate whose sources are here, a line or a few for each fault."""
    modules = load(src)
    faults = []
    levels = edges(modules)
    for folder, graph in sorted(levels.items()):
        inside = "/".join(["src", *folder])
        for circle in circles(graph):
            faults.append(f"a circle in {inside}: {' -> '.join([*circle, circle[0]])}")
            faults += [f"    {graph[a][b]}" for a, b in zip(circle, [*circle[1:], circle[0]])]
    if order is not None:
        rooms = {path[0] for path in modules if path}
        faults += [f"{room} is not in the picture of ARCHITECTURE.md" for room in sorted(rooms - set(order))]
        faults += [f"{room} is in the picture of ARCHITECTURE.md only" for room in sorted(set(order) - rooms)]
        for user, targets in sorted(levels.get((), {}).items()):
            for target, where in sorted(targets.items()):
                if user in order and target in order and order[target] < order[user]:
                    faults.append(f"{user} is below {target} and uses it\n    {where}")
    return faults


def main(chosen):
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    crates = {Path(f).parent.parent for f in files if f.endswith(("src/lib.rs", "src/main.rs"))}
    orders = pictures(Path("ARCHITECTURE.md").read_text())
    failed = False
    for crate in sorted(Path(name) for name in chosen) if chosen else sorted(crates):
        faults = check(crate / "src", orders.get(crate.name))
        if faults:
            failed = True
            print(f"{crate}: the modules are not in order")
            print("\n".join(f"  {fault}" for fault in faults))
    if not failed:
        print("the modules of every crate are in order")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
