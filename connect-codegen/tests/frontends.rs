//! The plugin writes what `build.rs` writes, byte for byte, whoever calls it.
//!
//! Here the caller is this test, with descriptors made by protox. With `CODEGEN_PROTOC` and
//! `CODEGEN_BUF` set to the programs, as `.ci/run codegen` does, they call it as well.

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use connect_codegen::{Config, Layout};
use support::{
    TempDir,
    frontends::{FILES, Frontend, PLUGIN, protos},
};

/// The same settings as a plugin gets them, and as a `build.rs` makes them.
fn settings() -> Vec<(&'static [&'static str], Config)> {
    vec![
        (&[], Config::new()),
        (
            &["json=false", "default_methods", "bytes=", "hash_map=."],
            Config::new()
                .with_json(false)
                .with_default_methods(true)
                .with_bytes(None::<&str>)
                .add_hash_map("."),
        ),
        (
            &[
                "bytes=.shapes.v1.Legacy",
                "boxed=.shapes.v1.Shape.extra",
                "type_attribute=.shapes.v1.Side=#[derive(PartialOrd, Copy)]",
                "field_attribute=.shapes.v1.Side.length=#[doc(alias = \"size, in all\")]",
            ],
            Config::new()
                .with_bytes([".shapes.v1.Legacy"])
                .add_boxed(".shapes.v1.Shape.extra")
                .add_type_attribute(".shapes.v1.Side", "#[derive(PartialOrd, Copy)]")
                .add_field_attribute(".shapes.v1.Side.length", "#[doc(alias = \"size, in all\")]"),
        ),
        (
            &["server_feature=server", "client_feature=client"],
            Config::new()
                .with_server_feature("server")
                .with_client_feature("client"),
        ),
        (
            &["server=false", "crate_path=::connect_tokio"],
            Config::new()
                .with_server(false)
                .with_crate_path("::connect_tokio"),
        ),
        (
            &["client=false", "include_file=all.rs"],
            Config::new().with_client(false).with_include_file("all.rs"),
        ),
        (
            &["layout=modules", "descriptor_set=false"],
            Config::new()
                .with_layout(Layout::Modules)
                .with_descriptor_set(false),
        ),
        (
            &["messages=false", "extern_path=.=crate::built"],
            Config::new()
                .with_messages(false)
                .add_extern_path(".", "crate::built"),
        ),
        (
            &[
                "extern_path=.shapes.v1=::shapes",
                "extern_path=.Deep=::deep::Deep",
            ],
            Config::new()
                .add_extern_path(".shapes.v1", "::shapes")
                .add_extern_path(".Deep", "::deep::Deep"),
        ),
    ]
}

#[test]
fn outputs_are_equal() {
    for frontend in Frontend::all() {
        for (options, config) in settings() {
            let expected = TempDir::new("expected");
            let files = FILES.map(|file| protos().join(file));
            config
                .with_out_dir(expected.path())
                .compile(&files, &[protos()])
                .unwrap();
            let found = TempDir::new("found");
            frontend.run(&FILES, options, found.path()).unwrap();
            let what = format!("{frontend:?} with {options:?}");
            assert_same(&read_all(expected.path()), &read_all(found.path()), &what);
        }
    }
}

#[track_caller]
fn assert_same(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>, what: &str) {
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert!(expected.len() > 1, "{what}");
    assert_eq!(names(expected), names(found), "{what}");
    for (name, expected) in expected {
        let mut lines = expected.lines().zip(found[name].lines());
        let different = lines.find(|(expected, found)| expected != found);
        assert_eq!(different, None, "{what}: {name}");
        assert_eq!(expected.len(), found[name].len(), "{what}: {name}");
    }
}

/// All files below a directory, by their paths in it.
fn read_all(dir: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                out.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    out
}

#[test]
fn errors_go_through_the_protocol() {
    for frontend in Frontend::all() {
        let out = TempDir::new("error");
        for (options, says) in [
            (
                "jsn=true",
                "unknown option \"jsn\"\n  = help: did you mean json?",
            ),
            ("crate_path=a b", "crate_path \"a b\" is not a path"),
            (
                "messages=false",
                "names .shapes.tour.v1.LookRequest, but messages are not generated",
            ),
        ] {
            let files = ["shapes/v1/tour.proto", "shapes/v1/shapes.proto"];
            let error = frontend.run(&files, &[options], out.path()).unwrap_err();
            assert!(error.contains(says), "{frontend:?}: {error}");
        }
        assert!(read_all(out.path()).is_empty());
    }
}

/// protoc and buf know them, protox does not: a `build.rs` has one of them called.
#[test]
fn editions() {
    let (dir, other) = (TempDir::new("editions"), TempDir::new("other"));
    let text = "edition = \"2023\";\npackage e.v1;\nimport \"google/protobuf/empty.proto\";\n\
        message A { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }\n";
    dir.write("e/v1/edition.proto", text);
    other.write(
        "o/o.proto",
        "edition = \"2024\"; package o; import \"e/v1/edition.proto\"; message O { e.v1.A a = 1; }",
    );
    for frontend in Frontend::all() {
        let (Frontend::Protoc(program) | Frontend::Buf(program)) = &frontend else {
            continue;
        };
        let out = TempDir::new("out");
        frontend
            .run_in(dir.path(), &["e/v1/edition.proto"], &[], out.path())
            .unwrap();
        let code = &read_all(out.path())["e.v1.rs"];
        assert!(
            code.contains("pub a: ::core::option::Option<i32>"),
            "{code}"
        );
        assert!(code.contains("pub b: i32"), "{code}");

        let built = TempDir::new("built");
        let config = Config::new()
            .with_out_dir(built.path())
            .with_compiler(program);
        let includes = [dir.path(), other.path()];
        config.compile(&["e/v1/edition.proto"], &includes).unwrap();
        assert_eq!(&read_all(built.path())["e.v1.rs"], code, "{frontend:?}");
        // Imports come along, from other folders as well.
        config
            .compile(&[other.path().join("o/o.proto")], &includes)
            .unwrap();
        assert!(read_all(built.path())["o.rs"].contains("super::e::v1::A"));
        other.write(
            "o/bad.proto",
            "edition = \"2023\";\nmessage B { Nothing a = 1; }",
        );
        let error = config
            .compile(&["o/bad.proto"], &includes)
            .unwrap_err()
            .to_string();
        assert!(error.contains("bad.proto:2:13"), "{error}");
    }
}

/// A current `descriptor.proto`, such as buf and protoc bring along, is of an edition or says what protox
/// does not know.
#[test]
fn the_types_of_google_protobuf_are_built_in() {
    let (dir, out) = (TempDir::new("google"), TempDir::new("out"));
    dir.write("google/protobuf/descriptor.proto", "edition = \"2077\";");
    let text = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\";\n\
        message A { google.protobuf.FileDescriptorProto file = 1; }";
    dir.write("a.proto", text);
    let config = Config::new().with_out_dir(out.path());
    config.compile(&["a.proto"], &[dir.path()]).unwrap();
    assert!(read_all(out.path())["_.rs"].contains("FileDescriptorProto"));
}

#[test]
fn a_descriptor_set_from_elsewhere() {
    let (dir, out) = (TempDir::new("set"), TempDir::new("out"));
    let set = connect_codegen::descriptors(&["shapes/v1/shapes.proto"], &[protos()]).unwrap();
    let path = dir.path().join("shapes.binpb");
    std::fs::write(&path, &set).unwrap();
    let config = Config::new().with_out_dir(out.path());
    config.compile_descriptor_set(&path).unwrap();
    let other = TempDir::new("other");
    let compiled = Config::new().with_out_dir(other.path());
    compiled
        .compile(&["shapes/v1/shapes.proto"], &[protos()])
        .unwrap();
    assert_eq!(read_all(out.path()), read_all(other.path()));
    std::fs::write(&path, "no set").unwrap();
    assert!(config.compile_descriptor_set(&path).is_err());
    let error = config
        .compile_descriptor_set("/nowhere/set")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot read /nowhere/set: "), "{error}");
}

#[test]
fn the_plugin_explains_itself() {
    let run = |args: &[&str]| {
        Command::new(PLUGIN)
            .args(args)
            .stdin(Stdio::null())
            .output()
    };
    let help = run(&["--help"]).unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    for part in ["--connect-prost_opt", "extern_path=", "strategy: all"] {
        assert!(help.status.success() && text.contains(part), "{text}");
    }
    let version = run(&["--version"]).unwrap().stdout;
    assert_eq!(version, concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    let unknown = run(&["--halp"]).unwrap();
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        !unknown.status.success() && text.contains("see --help"),
        "{text}"
    );
}

#[test]
fn what_is_no_request_is_an_error() {
    let error = connect_codegen::plugin(b"junk").unwrap_err().to_string();
    assert!(
        error.contains("stdin is no CodeGeneratorRequest"),
        "{error}"
    );
}
