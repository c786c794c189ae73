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
    for (file, position, says) in [
        ("grammar.proto", "3:16", "expected an integer"),
        ("unknown_type.proto", "3:3", "name 'Missing' is not defined"),
        ("twice.proto", "3:9", "name 'A' is defined twice"),
        ("import.proto", "3:3", "import 'nowhere.proto' not found"),
    ] {
        let error = protos.error(file, &Config::new());
        assert!(error.starts_with(says), "{error}");
        // So that an editor finds it.
        let place = format!("\n --> {}:{position}\n", protos.path(file));
        assert!(error.contains(&place), "{error}");
    }
}

/// As a build log has them, paths aside.
#[test]
fn errors_show_the_line() {
    let text = "syntax = \"proto2\";
package shop;
message Order {
\toneof payment {
\t\tstring card = 1; string Card = 2; }
  optional bytes id = 3; /* übel */ optional Lin line = 4;
}
message Line { optional Lone a = 1; }
message Lone {}";
    let protos = Protos::new("line", &[("a.proto", text)]);
    assert_eq!(
        protos.error("a.proto", &Config::new()),
        format!(
            "name 'Lin' is not defined
 --> {}:6:47
  |
6 |   optional bytes id = 3; /* übel */ optional Lin line = 4;
  |                                              ^^^",
            protos.path("a.proto")
        )
    );
    let text = text.replace("Lin line", "Line line");
    let text = format!("{text}\nmessage lone {{}}\nmessage line {{}}");
    let protos = Protos::new("lines", &[("a.proto", &text)]);
    let path = protos.path("a.proto");
    assert_eq!(
        protos.error("a.proto", &Config::new()),
        format!(
            "two fields of Order are both named Card in Rust: card, Card
 --> {path}:5:27
  |
5 |                 string card = 1; string Card = 2; }}
  |                                         ^^^^
  |
  = help: rename one of them: the binary encoding stays, and json_name keeps its name in JSON

error: two types of package shop are both named Lone in Rust: Lone, lone
  --> {path}:10:9
   |
10 | message lone {{}}
   |         ^^^^
   |
   = help: rename one of them

error: two types of package shop are both named Line in Rust: Line, line
  --> {path}:11:9
   |
11 | message line {{}}
   |         ^^^^
   |
   = help: rename one of them"
        )
    );
}

/// The parser counts otherwise than what comes after it.
#[test]
fn columns_are_found_behind_other_letters() {
    let text = "syntax = \"proto3\"; /* \u{20ac}\u{fc} */ message A { int32 = 1; }";
    let protos = Protos::new("letters", &[("a.proto", text)]);
    let error = protos.error("a.proto", &Config::new());
    let mark = format!("\n1 | {text}\n  | {}^\n", " ".repeat(46));
    assert!(format!("{error}\n").contains(&mark), "{error}");
}

/// All files are looked at, and what the compiler says beside is said too.
#[test]
fn several_errors_are_reported_at_once() {
    let syntax = "syntax = \"proto3\";\n";
    let files = [
        (
            "a.proto",
            format!("{syntax}message A {{}}\nmessage A {{}}\nmessage B {{ C c = 1; }}"),
        ),
        ("b.proto", format!("{syntax}enum E {{ ONE = 1; }}")),
        ("c.proto", format!("{syntax}import \"a.proto\";")),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let protos = Protos::new("several", &files);
    let paths = ["a.proto", "b.proto", "c.proto"].map(|name| protos.path(name));
    let error = Config::new().read(&paths, &[protos.0.path()]).unwrap_err();
    let error = error.to_string();
    let reasons: Vec<_> = error.split("\n\nerror: ").collect();
    assert_eq!(reasons.len(), 2, "{error}");
    assert!(
        reasons[0].starts_with("name 'A' is defined twice"),
        "{error}"
    );
    assert!(
        reasons[0].contains("= note: first defined here: line 2, column 9"),
        "{error}"
    );
    assert!(reasons[1].contains("b.proto:2:16"), "{error}");
}

/// A test of its own program, as what is on `PATH` is not for a test to say.
#[test]
fn editions_need_a_compiler() {
    let protos = Protos::new("needs", &[("edition.proto", "\nedition = \"2023\";")]);
    if std::env::var_os("ALONE").is_some() {
        let error = protos.error("edition.proto", &Config::new());
        for part in [
            "edition.proto:2:1\n",
            "2 | edition = \"2023\";\n  | ^^^^^^^\n",
            "= help: editions need protoc or buf: ",
            "PROTOC",
            "with_compiler",
            "compile_descriptor_set",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.contains(&protos.path("edition.proto")), "{error}");
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
    let error = protos.error("a.proto", &Config::new());
    assert!(
        error.starts_with("import 'nowhere.proto' not found\n"),
        "{error}"
    );
    let note = format!("\n  = note: looked in {dir}");
    assert!(error.ends_with(&note), "{error}");
    for (file, include, says) in [
        (
            "absent.proto",
            "protos",
            "absent.proto does not exist\n  = note: looked in the current directory, protos",
        ),
        (
            &protos.path("a.proto"),
            &protos.path("inner"),
            "a.proto is in no include directory, so it has no name that others could import it by\n  = help: add ",
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
    for (text, says, position) in [
        (
            "enum E { E_A_B = 0; E_AB = 1; E_A__B = 2; }",
            "two values of E are both named AB in Rust: E_A_B, E_A__B",
            "3:31",
        ),
        (
            "message FooBar {} message foo_bar {}",
            "two types of package p are both named FooBar in Rust: FooBar, foo_bar",
            "3:27",
        ),
        (
            "message M { message FooBar {} enum foo_bar { Z = 0; } }",
            "two types of package p are both named FooBar in Rust: FooBar, foo_bar",
            "3:36",
        ),
        (
            "message A { optional int32 x = 1; } message M { message N { optional int32 ab = 1; optional int32 Ab = 2; } }",
            "two fields of N are both named ab in Rust: ab, Ab",
            "3:99",
        ),
        (
            "message M { optional int32 unknown_fields = 1; }",
            "two fields of M are both named unknown_fields in Rust: ",
            "3:28",
        ),
        (
            "message M { extensions 1 to 9; } extend M { optional int32 ab = 1; optional int32 Ab = 2; }",
            "two extensions are both named AB in Rust: p.ab, p.Ab",
            "3:83",
        ),
    ] {
        let text = format!("syntax = \"proto2\";\npackage p;\n{text}");
        let protos = Protos::new("collide", &[("a.proto", &text)]);
        let error = protos.error("a.proto", &Config::new().add_unknown_fields("."));
        assert!(error.starts_with(says), "{error}");
        let place = format!("\n --> {}:{position}\n", protos.path("a.proto"));
        assert!(error.contains(&place), "{error}");
        assert!(error.contains("\n  = help: rename one of them"), "{error}");
    }
}

/// Generated code reaches its crates through it.
#[test]
fn one_module_name_is_taken() {
    for (text, says) in [
        (
            "package connect_rs.v1; message A {}",
            "package connect_rs.v1: a module cannot be named connect_rs, which generated code uses itself\n --> ",
        ),
        ("message ConnectRs { message Inner {} }", "a.proto:1:28\n"),
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
        let error = protos.error("a.proto", &config);
        assert!(
            error.starts_with("C names .p.A, but messages are not generated\n"),
            "{error}"
        );
        assert!(error.contains("a.proto:2:17\n"), "{error}");
        let help = "= help: say where it is: extern_path=.p.A=::path::of::the_type";
        assert!(error.ends_with(help), "{error}");
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
        "proto4 is not known: there are proto2, proto3, 2023 and 2024\n --> b.proto\n  = help: a later version of connect-codegen may know it"
    );
    let set = FileDescriptorSet {
        file: vec![file("a.proto", "proto3")],
    };
    let error = generate(&set, "x.proto").unwrap_err();
    let says = "x.proto is not among the descriptors\n  = help: did you mean a.proto?";
    assert_eq!(error.to_string(), says);
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
    for (config, says, help) in [
        (
            config().add_extern_path(".q", "::q"),
            "extern_path \".q\": there is no package or type of this name in the files",
            "did you mean \".p\"?",
        ),
        (
            config().add_extern_path(".nothing.like.it", "::q"),
            "extern_path \".nothing.like.it\"",
            "a path begins with a dot, ",
        ),
        (
            config().with_bytes([".p.B"]),
            "bytes \".p.B\": there is no field of type bytes",
            "did you mean \".p.A\"?",
        ),
        (
            config().add_hash_map(".p.A.Inner"),
            "hash_map \".p.A.Inner\"",
            "a path begins with a dot, ",
        ),
        (
            config().add_hash_map(".p.A.ma"),
            "hash_map \".p.A.ma\"",
            "did you mean \".p.A.map\"?",
        ),
        (
            config().add_boxed(".p.B.e"),
            "boxed \".p.B.e\": there is no message field",
            "did you mean ",
        ),
        (
            config().add_view(".p.A.map"),
            "view \".p.A.map\": there is no message or method",
            "a path begins with a dot, ",
        ),
        (
            config().add_type_attribute("p.A", attribute),
            "type_attribute \"p.A\": a path begins with a dot, and stands for all that is below it",
            "write \".p.A\"",
        ),
        (
            config().add_type_attribute(".q.inner", attribute),
            "type_attribute \".q.inner\": there is no message, enum or oneof",
            "did you mean \".p.A.Inner\"?",
        ),
        (
            config().add_field_attribute(".p.A.none", attribute),
            "field_attribute \".p.A.none\"",
            "did you mean \".p.A.one\"?",
        ),
    ] {
        let error = protos.error("a.proto", &config);
        assert!(error.starts_with(says), "{error}");
        assert!(error.contains(&format!("\n  = help: {help}")), "{error}");
    }
    // All of them, each once.
    let several = config()
        .add_boxed(".p.x")
        .add_boxed(".p.x")
        .add_hash_map(".p.y");
    let error = protos.error("a.proto", &several);
    assert_eq!(error.matches("there is no ").count(), 2, "{error}");
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
