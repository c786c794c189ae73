//! What a user gets to read when code cannot be generated.

mod support;

use std::fs;

use connect_codegen::{Config, Layout, descriptors, generate};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use support::TempDir;

/// A directory of `.proto` files, removed at the end.
struct Protos(TempDir);

impl Protos {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new(test);
        for (file, text) in files {
            dir.write(file, text);
        }
        Self(dir)
    }

    fn path(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    /// Generates everything, as a `build.rs` does; the error is expected.
    #[track_caller]
    fn error(&self, file: &str, config: &Config) -> String {
        let config = config.clone().with_out_dir(self.0.path().join("out"));
        let error = config.compile(&[self.path(file)], &[self.0.path()]);
        error.unwrap_err().to_string()
    }
}

#[test]
fn errors_in_proto_files_name_file_line_and_column() {
    let syntax = "syntax = \"proto3\";\n";
    let protos = Protos::new(
        "syntax",
        &[
            (
                "grammar.proto",
                &format!("{syntax}message A {{\n  string name == 1;\n}}"),
            ),
            (
                "unknown_type.proto",
                &format!("{syntax}message A {{\n  Missing a = 1;\n}}"),
            ),
            (
                "twice.proto",
                &format!("{syntax}message A {{}}\nmessage A {{}}"),
            ),
            (
                "import.proto",
                &format!("{syntax}\n  import \"nowhere.proto\";"),
            ),
        ],
    );
    for (file, place) in [
        ("grammar.proto", "grammar.proto:3:16: "),
        (
            "unknown_type.proto",
            "unknown_type.proto:3:3: name 'Missing' is not defined",
        ),
        ("twice.proto", "twice.proto:3:9: name 'A' is defined twice"),
        (
            "import.proto",
            "import.proto:3:3: import 'nowhere.proto' not found",
        ),
    ] {
        let error = protos.error(file, &Config::new());
        assert!(error.contains(place), "{error}");
        // So that an editor finds it.
        assert!(error.starts_with(&protos.path(file)), "{error}");
    }
}

/// A test of its own program, as what is on `PATH` is not for a test to say.
#[test]
fn editions_need_a_compiler() {
    let protos = Protos::new("needs", &[("edition.proto", "\nedition = \"2023\";")]);
    if std::env::var_os("ALONE").is_some() {
        let error = protos.error("edition.proto", &Config::new());
        for part in [
            "edition.proto:2:1: ",
            "PROTOC",
            "with_compiler",
            "compile_descriptor_set",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.starts_with(&protos.path("edition.proto")), "{error}");
        return;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "editions_need_a_compiler"]);
    let alone = alone.env("ALONE", "1").env("PATH", "").env_remove("PROTOC");
    let output = alone.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let error = protos.error(
        "edition.proto",
        &Config::new().with_compiler("/nowhere/protoc"),
    );
    assert!(
        error.starts_with("cannot start /nowhere/protoc: "),
        "{error}"
    );
}

#[test]
fn missing_files_are_named() {
    let import = "syntax = \"proto3\"; import \"nowhere.proto\";";
    let protos = Protos::new("missing", &[("a.proto", import), ("inner/b.proto", "")]);
    let dir = protos.0.path().display();
    assert_eq!(
        protos.error("absent.proto", &Config::new()),
        format!("{dir}/absent.proto does not exist")
    );
    assert_eq!(
        protos.error("a.proto", &Config::new()),
        format!("{dir}/a.proto:1:20: import 'nowhere.proto' not found (looked in {dir})")
    );
    for (file, include, says) in [
        (
            "absent.proto",
            "protos",
            "absent.proto does not exist (looked in the current directory, protos)",
        ),
        (
            &protos.path("a.proto"),
            &protos.path("inner"),
            "a.proto is in no include directory, ",
        ),
    ] {
        let error = descriptors(&[file], &[include]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn options_that_are_no_rust_are_named() {
    let text = "syntax = \"proto3\"; package p; message A { int32 a = 1; } service S { rpc C(A) returns (A); }";
    let protos = Protos::new("options", &[("a.proto", text)]);
    for (config, says) in [
        (
            Config::new().with_crate_path("not a path"),
            "crate_path \"not a path\"",
        ),
        (
            Config::new().add_extern_path(".p.A", "pkg::A"),
            "extern_path \"pkg::A\" must start with `::` or `crate`",
        ),
        (Config::new().add_extern_path("p.A", "::pkg::A"), "p.A"),
        (
            Config::new().add_type_attribute(".", "#[broken"),
            "type_attribute \"#[broken\" is no attribute: ",
        ),
        (
            Config::new().add_extern_path(".p.A", "::a b"),
            "extern_path \"::a b\" is no path: ",
        ),
    ] {
        let error = protos.error("a.proto", &config);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn names_that_collide_in_rust_are_named_with_their_place() {
    for (text, says) in [
        (
            "enum E { E_A_B = 0; E_AB = 1; E_A__B = 2; }",
            "3:31: two values of E are both named AB in Rust: E_A_B, E_A__B",
        ),
        (
            "message FooBar {} message foo_bar {}",
            "3:19: two types of package p are both named FooBar in Rust: FooBar, foo_bar",
        ),
        (
            "message M { message FooBar {} enum foo_bar { Z = 0; } }",
            "both named FooBar in Rust",
        ),
        (
            "message A { optional int32 x = 1; } message M { message N { optional int32 ab = 1; optional int32 Ab = 2; } }",
            "3:84: two fields of N are both named ab in Rust: ab, Ab",
        ),
    ] {
        let text = format!("syntax = \"proto2\";\npackage p;\n{text}");
        let protos = Protos::new("collide", &[("a.proto", &text)]);
        let error = protos.error("a.proto", &Config::new());
        assert!(error.starts_with(&protos.path("a.proto:3:")), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

/// Generated code reaches its crates through it.
#[test]
fn one_module_name_is_taken() {
    for (text, says) in [
        (
            "package connect_rs.v1; message A {}",
            "package connect_rs.v1: a module cannot be named connect_rs",
        ),
        (
            "message ConnectRs { message Inner {} }",
            "a.proto:1:20: a module cannot be named connect_rs",
        ),
    ] {
        let text = format!("syntax = \"proto3\"; {text}");
        let protos = Protos::new("root", &[("a.proto", &text)]);
        let error = protos.error("a.proto", &Config::new());
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn services_alone_need_their_messages() {
    let text = "syntax = \"proto3\"; package p; message A {} \nservice S { rpc C(A) returns (A); }";
    let protos = Protos::new("stubs", &[("a.proto", text)]);
    let stubs = Config::new().with_messages(false);
    for config in [
        stubs.clone(),
        stubs.clone().add_extern_path(".p.AB", "::ab"),
    ] {
        assert_eq!(
            protos.error("a.proto", &config),
            protos.path(
                "a.proto:2:13: C names .p.A, but messages are not generated and no extern_path covers it"
            )
        );
    }
}

#[test]
fn modules_are_for_code_that_is_checked_in() {
    let protos = Protos::new("modules", &[("a.proto", "syntax = \"proto3\";")]);
    let config = Config::new().with_layout(Layout::Modules);
    let error = config.compile(&[protos.path("a.proto")], &[protos.0.path()]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("give an `out_dir`"), "{error}");
}

#[test]
fn descriptors_from_elsewhere_are_checked() {
    let file = |name: &str, syntax: &str| FileDescriptorProto {
        name: Some(name.into()),
        syntax: Some(syntax.into()),
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet {
        file: vec![file("a.proto", "proto3"), file("b.proto", "proto4")],
    };
    let generate =
        |set: &FileDescriptorSet, name| generate(&set.encode_to_vec(), &[name], &Config::new());
    let error = generate(&set, "a.proto").unwrap_err();
    assert_eq!(
        error.to_string(),
        "b.proto: proto4 is not known: there are proto2, proto3, 2023 and 2024"
    );
    let set = FileDescriptorSet {
        file: vec![file("a.proto", "proto3")],
    };
    let error = generate(&set, "x.proto").unwrap_err();
    assert_eq!(error.to_string(), "x.proto is not among the descriptors");
    // `Debug` is what a build script prints.
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn output_needs_a_directory() {
    let protos = Protos::new(
        "output",
        &[("a.proto", "syntax = \"proto3\"; message A {}")],
    );
    let file = protos.0.path().join("a.proto");
    if std::env::var_os("OUT_DIR").is_none() {
        let error = Config::new()
            .compile(&[&file], &[protos.0.path()])
            .unwrap_err();
        assert!(error.to_string().contains("out_dir"), "{error}");
    }
    let config = Config::new().with_out_dir(&file);
    let error = config.compile(&[&file], &[protos.0.path()]).unwrap_err();
    assert!(error.to_string().starts_with("cannot create "), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

/// Cargo rebuilds what has a new modification time.
#[test]
fn unchanged_files_are_not_touched() {
    let protos = Protos::new("touch", &[("a.proto", "syntax = \"proto3\"; message A {}")]);
    let file = protos.0.path().join("a.proto");
    let out = protos.0.path().join("out");
    let config = Config::new().with_out_dir(&out);
    config.compile(&[&file], &[protos.0.path()]).unwrap();
    let written = out.join("_.rs");
    let old = fs::File::open(&written).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::OpenOptions::new()
        .write(true)
        .open(&written)
        .and_then(|file| file.set_modified(long_ago))
        .unwrap();
    drop(old);
    config.compile(&[&file], &[protos.0.path()]).unwrap();
    assert_eq!(
        fs::metadata(&written).unwrap().modified().unwrap(),
        long_ago
    );
    fs::write(&file, "syntax = \"proto3\"; message B {}").unwrap();
    config.compile(&[&file], &[protos.0.path()]).unwrap();
    assert!(
        fs::read_to_string(&written)
            .unwrap()
            .contains("pub struct B")
    );
}

/// A misspelt path would have no effect, and nobody would know.
#[test]
fn paths_that_stand_for_nothing_are_refused() {
    let text = "syntax = \"proto3\"; package p;
        message A {
          map<string, B> map = 1;
          oneof one { B boxed = 2; bytes raw = 3; }
          message Inner { bytes data = 1; }
        }
        message B { E e = 1; }
        enum E { E_ZERO = 0; }";
    let protos = Protos::new("paths", &[("a.proto", text)]);
    let attribute = "#[doc(alias = \"other\")]";
    let config = Config::new;
    for (config, says) in [
        (config().add_extern_path(".q", "::q"), "extern_path \".q\""),
        (config().with_bytes([".p.B"]), "bytes \".p.B\""),
        (
            config().add_hash_map(".p.A.Inner"),
            "hash_map \".p.A.Inner\"",
        ),
        (config().add_hash_map(".p.A.ma"), "hash_map \".p.A.ma\""),
        (config().add_boxed(".p.B.e"), "boxed \".p.B.e\""),
        (config().add_view(".p.A.map"), "view \".p.A.map\""),
        (
            config().add_type_attribute("p.A", attribute),
            "type_attribute \"p.A\": a path begins with a dot, and stands for all that is below it",
        ),
        (
            config().add_type_attribute(".p.A.map", attribute),
            "type_attribute \".p.A.map\"",
        ),
        (
            config().add_field_attribute(".p.A.none", attribute),
            "field_attribute \".p.A.none\"",
        ),
    ] {
        let error = protos.error("a.proto", &config);
        assert!(error.starts_with(says), "{error}");
    }
    let every_kind = config()
        .with_bytes([".p.A.one.raw", ".p.A.Inner"])
        .add_hash_map(".p.A.map")
        .add_boxed(".p.A.one.boxed")
        .add_type_attribute(".p.A.one", attribute)
        .add_type_attribute(".p.E", attribute)
        .add_field_attribute(".p.A.map", attribute)
        .add_field_attribute(".p.E.E_ZERO", attribute)
        .with_out_dir(protos.0.path().join("out"));
    let compiled = every_kind.compile(&[protos.path("a.proto")], &[protos.0.path()]);
    assert_eq!(compiled.map_err(|error| error.to_string()), Ok(()));
}
