//! What a user gets to read when code cannot be generated.

use std::{fs, path::PathBuf};

use connect_codegen::{Config, descriptors, generate};

/// A directory of `.proto` files, removed at the end.
struct Protos(PathBuf);

impl Protos {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("connect-codegen-{}-{test}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        for (file, text) in files {
            fs::write(dir.join(file), text).unwrap();
        }
        Self(dir)
    }

    /// Generates everything; the error is expected.
    #[track_caller]
    fn error(&self, file: &str, config: &Config) -> String {
        let set = match descriptors(&[self.0.join(file)], &[&self.0]) {
            Ok(set) => set,
            Err(error) => return error.to_string(),
        };
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        generate(&set, &names, config).unwrap_err().to_string()
    }
}

impl Drop for Protos {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
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
            ("edition.proto", "\nedition = \"2023\";"),
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
        ("edition.proto", "edition.proto:2:1: "),
        (
            "edition.proto",
            "editions are not supported, only syntax proto2 and proto3",
        ),
    ] {
        let error = protos.error(file, &Config::new());
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn missing_files_are_named() {
    let protos = Protos::new("missing", &[]);
    let error = protos.error("absent.proto", &Config::new());
    assert!(error.contains("absent.proto"), "{error}");
    let outside = descriptors(&["/elsewhere/a.proto"], &[&protos.0]).unwrap_err();
    assert!(outside.to_string().contains("a.proto"), "{outside}");
}

#[test]
fn options_that_are_no_rust_are_named() {
    let text = "syntax = \"proto3\"; package p; message A { int32 a = 1; } service S { rpc C(A) returns (A); }";
    let protos = Protos::new("options", &[("a.proto", text)]);
    for (config, says) in [
        (
            Config::new().crate_path("not a path"),
            "crate_path \"not a path\"",
        ),
        (
            Config::new().extern_path(".p.A", "pkg::A"),
            "extern_path \"pkg::A\" must start with `::`",
        ),
        (Config::new().extern_path("p.A", "::pkg::A"), "p.A"),
        (Config::new().type_attribute(".", "#[broken"), "package p: "),
        (Config::new().extern_path(".p.A", "::a b"), "/p.S/C: type"),
    ] {
        let error = protos.error("a.proto", &config);
        assert!(error.contains(says), "{error}");
    }
}

/// prost-build panics here.
#[test]
fn names_that_collide_in_rust_are_named() {
    let text = "syntax = \"proto3\"; enum E { E_A_B = 0; E_AB = 1; E_A__B = 2; }";
    let protos = Protos::new("collide", &[("a.proto", text)]);
    let error = protos.error("a.proto", &Config::new());
    assert!(
        error.contains("E_A_B") && error.contains("E_A__B"),
        "{error}"
    );
}

#[test]
fn descriptors_from_elsewhere_are_checked() {
    let file = |name: &str, syntax: &str| prost_types::FileDescriptorProto {
        name: Some(name.into()),
        syntax: Some(syntax.into()),
        ..prost_types::FileDescriptorProto::default()
    };
    let set = prost_types::FileDescriptorSet {
        file: vec![file("a.proto", "proto3"), file("b.proto", "editions")],
    };
    let error = generate(&set, &["a.proto"], &Config::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "b.proto: editions are not supported, only syntax proto2 and proto3"
    );
    let set = prost_types::FileDescriptorSet {
        file: vec![file("a.proto", "proto3")],
    };
    let error = generate(&set, &["x.proto"], &Config::new()).unwrap_err();
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
    let file = protos.0.join("a.proto");
    if std::env::var_os("OUT_DIR").is_none() {
        let error = Config::new().compile(&[&file], &[&protos.0]).unwrap_err();
        assert!(error.to_string().contains("out_dir"), "{error}");
    }
    let config = Config::new().out_dir(&file);
    let error = config.compile(&[&file], &[&protos.0]).unwrap_err();
    assert!(error.to_string().starts_with("cannot create "), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

/// Cargo rebuilds what has a new modification time.
#[test]
fn unchanged_files_are_not_touched() {
    let protos = Protos::new("touch", &[("a.proto", "syntax = \"proto3\"; message A {}")]);
    let file = protos.0.join("a.proto");
    let out = protos.0.join("out");
    let config = Config::new()
        .out_dir(&out)
        .descriptor_set(out.join("set.bin"));
    // The directory of the set is the caller's to make.
    fs::create_dir(&out).unwrap();
    config.compile(&[&file], &[&protos.0]).unwrap();
    let written = out.join("_.rs");
    let old = fs::File::open(&written).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::OpenOptions::new()
        .write(true)
        .open(&written)
        .and_then(|file| file.set_modified(long_ago))
        .unwrap();
    drop(old);
    config.compile(&[&file], &[&protos.0]).unwrap();
    assert_eq!(
        fs::metadata(&written).unwrap().modified().unwrap(),
        long_ago
    );
    fs::write(&file, "syntax = \"proto3\"; message B {}").unwrap();
    config.compile(&[&file], &[&protos.0]).unwrap();
    assert!(
        fs::read_to_string(&written)
            .unwrap()
            .contains("pub struct B")
    );
    assert!(fs::metadata(out.join("set.bin")).unwrap().len() > 0);
}
