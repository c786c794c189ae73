//! The command `connect-codegen`, as a shell calls it.
#![cfg(feature = "command")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use support::TempDir;

/// What a call came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Calls it in a folder.
fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_connect-codegen"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with schemas of two packages.
fn shop(test: &str) -> TempDir {
    let dir = TempDir::new(test);
    let head = "syntax = \"proto3\";\n";
    dir.write(
        "proto/shop/v1/shop.proto",
        &format!("{head}package shop.v1;\nimport \"tax/tax.proto\";\nmessage Order {{ tax.Rate rate = 1; }}\n"),
    );
    let tax = format!("{head}package tax;\nmessage Rate {{ uint32 percent = 1; }}\n");
    dir.write("proto/tax/tax.proto", &tax);
    dir
}

/// All files below a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    fn add(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, root, out);
            } else {
                out.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut out = Vec::new();
    add(folder, folder, &mut out);
    out.sort();
    out
}

#[test]
fn check_says_nothing_of_what_is_well() {
    let dir = shop("check");
    for inputs in [
        &["proto"][..],
        &["-Iproto", "shop/v1/shop.proto"],
        &[
            "--include",
            "proto",
            "proto/shop/v1/shop.proto",
            "proto/tax",
        ],
    ] {
        let ran = run(dir.path(), &[&["check"], inputs].concat());
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (Some(0), "", ""),
            "{inputs:?}"
        );
    }
    assert_eq!(files(dir.path()).len(), 2);
}

#[test]
fn check_shows_what_is_wrong() {
    let dir = shop("wrong");
    dir.write(
        "proto/bad.proto",
        "syntax = \"proto3\";\nmessage A {\n  B b = 1;\n}\n",
    );
    let ran = run(dir.path(), &["check", "proto"]);
    let expected = "error: name 'B' is not defined
 --> proto/bad.proto:3:3
  |
3 |   B b = 1;
  |   ^
";
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), expected));
    fs::remove_file(dir.path().join("proto/bad.proto")).unwrap();
    // Of an option as of a file.
    let ran = run(
        dir.path(),
        &["check", "proto", "--opt", "boxed=.shop.v1.Order.rat"],
    );
    let expected =
        "error: boxed \".shop.v1.Order.rat\": there is no message field of this name in the files
  = help: did you mean \".shop.v1.Order.rate\"?
";
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), expected));
}

#[test]
fn generate_writes_what_a_build_script_does() {
    let dir = shop("generate");
    let ran = run(
        dir.path(),
        &["generate", "proto", "--out", "code", "--opt", "json=false"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        ran.out,
        "wrote code/_protos.rs\nwrote code/shop.v1.rs\nwrote code/tax.rs\n\
         3 files: 3 written, 0 removed, 0 unchanged\n"
    );
    let built = dir.path().join("built");
    connect_codegen::Config::new()
        .with_json(false)
        .with_out_dir(&built)
        .compile(
            &["shop/v1/shop.proto", "tax/tax.proto"],
            &[dir.path().join("proto")],
        )
        .unwrap();
    for file in files(&built) {
        let text = |folder: &str| fs::read_to_string(dir.path().join(folder).join(&file)).unwrap();
        assert_eq!(text("code"), text("built"), "{file}");
    }
}

/// Cargo goes by modification times.
#[test]
fn generate_touches_only_what_changes() {
    let dir = shop("touch");
    let generate = ["generate", "proto", "-o", "code"];
    assert_eq!(run(dir.path(), &generate).code, Some(0));
    let old = SystemTime::UNIX_EPOCH;
    for file in files(&dir.path().join("code")) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(dir.path().join("code").join(file));
        file.unwrap().set_modified(old).unwrap();
    }
    let time = |name: &str| {
        fs::metadata(dir.path().join("code").join(name))
            .unwrap()
            .modified()
            .unwrap()
    };
    let ran = run(dir.path(), &generate);
    assert_eq!(ran.out, "3 files: 0 written, 0 removed, 3 unchanged\n");
    assert_eq!(time("tax.rs"), old);
    dir.write(
        "proto/tax/tax.proto",
        "syntax = \"proto3\";\npackage tax;\nmessage Rate { uint32 per_mille = 1; }\n",
    );
    let ran = run(
        dir.path(),
        &[&generate[..], &["--opt=descriptor_set=false"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_ne!(time("tax.rs"), old);
    assert_eq!(time("_protos.rs"), old);
}

#[test]
fn generate_removes_what_it_wrote_and_nothing_else() {
    let dir = shop("stale");
    let generate = ["generate", "proto", "-o", "code", "--opt", "layout=modules"];
    assert_eq!(run(dir.path(), &generate).code, Some(0));
    let header = "// @generated by connect-codegen from x.proto. Do not edit.\n";
    dir.write("code/tax/mine.rs", "// by hand\n");
    dir.write("code/mine.rs", "// @generated by another\n");
    // No folder of this command: there is no mod.rs of its own in it.
    dir.write("code/target/out/mod.rs", header);
    dir.write("code/old/mod.rs", header);
    dir.write("code/old/v1/mod.rs", header);
    dir.write(
        "proto/tax/tax.proto",
        "syntax = \"proto3\";\npackage toll;\nmessage Rate { uint32 percent = 1; }\n",
    );
    dir.write(
        "proto/shop/v1/shop.proto",
        "syntax = \"proto3\";\npackage shop.v1;\nimport \"tax/tax.proto\";\nmessage Order { toll.Rate rate = 1; }\n",
    );
    let ran = run(dir.path(), &generate);
    assert_eq!(
        ran.out,
        "wrote code/mod.rs\nremoved code/old/mod.rs\nremoved code/old/v1/mod.rs\nwrote code/shop/v1/mod.rs\n\
         removed code/tax/mod.rs\nwrote code/toll/mod.rs\n4 files: 3 written, 3 removed, 1 unchanged\n"
    );
    assert_eq!(
        files(&dir.path().join("code")),
        [
            "mine.rs",
            "mod.rs",
            "shop/mod.rs",
            "shop/v1/mod.rs",
            "target/out/mod.rs",
            "tax/mine.rs",
            "toll/mod.rs"
        ]
    );
    assert!(!dir.path().join("code/old").exists());
}

#[test]
fn diff_is_for_jobs_that_refuse_stale_code() {
    let dir = shop("diff");
    let options = ["proto", "--out", "code", "--opt", "descriptor_set=false"];
    let call = |command: &str| run(dir.path(), &[&[command], &options[..]].concat());
    let ran = call("diff");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out
            .contains("--- /dev/null\n+++ code/tax.rs\n@@ -0,0 +1,"),
        "{}",
        ran.out
    );
    assert_eq!(
        ran.err,
        "code is not what would be generated: 3 files differ\n"
    );
    assert!(!dir.path().join("code").exists());
    call("generate");
    let ran = call("diff");
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "", "")
    );
    let path = dir.path().join("code/tax.rs");
    let fresh = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        fresh.replacen("pub percent: u32", "pub percentage: u32", 1),
    )
    .unwrap();
    dir.write(
        "code/gone.rs",
        "// @generated by connect-codegen. Do not edit.\n",
    );
    let ran = call("diff");
    assert_eq!(ran.code, Some(1));
    let gone = "--- code/gone.rs\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-// @generated by connect-codegen. Do not edit.\n";
    let (head, rest) = ran.out.split_at(gone.len());
    assert_eq!(head, gone);
    let lines: Vec<_> = rest.lines().collect();
    assert_eq!(lines[..2], ["--- code/tax.rs", "+++ code/tax.rs"]);
    assert!(
        lines[2].starts_with("@@ -") && lines[2].ends_with(",7 @@"),
        "{rest}"
    );
    assert_eq!(
        lines[6].trim_start_matches(['-', ' ']),
        "pub percentage: u32,"
    );
    assert_eq!(lines[7].trim_start_matches(['+', ' ']), "pub percent: u32,");
    assert_eq!(lines.len(), 11);
    // What cannot be generated differs from nothing.
    dir.write("proto/bad.proto", "syntax");
    assert_eq!(call("diff").code, Some(2));
}

#[test]
fn explain_knows_every_element() {
    let dir = TempDir::new("explain");
    let text = "syntax = \"proto3\";
package shop.v1;
import \"google/protobuf/timestamp.proto\";
// Sells.
service Shop {
  rpc Buy(stream Order) returns (Order) { option idempotency_level = IDEMPOTENT; }
}
message Order {
  // Of whom
  // it is.
  optional string customer_name = 1;
  oneof payment { string card = 2; int32 cash = 3; }
  repeated sint32 counts = 4;
  Order next = 5;
  map<string, Kind> kinds = 6;
  google.protobuf.Timestamp at = 7;
  repeated fixed64 loose = 8 [packed = false];
  enum Kind { ZERO = 0; ONE = 1; }
}
";
    dir.write("shop.proto", text);
    let explain = |name: &str| {
        let ran = run(dir.path(), &["explain", name, "shop.proto"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        // Without the blanks that align the second column.
        let lines = ran
            .out
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    let cases: &[(&str, &[&str])] = &[
        (
            "shop.v1.Order",
            &[
                "message shop.v1.Order\n--> shop.proto:8:9\n",
                "Rust shop::v1::Order\n",
                "\npub struct Order {\n",
                "nested types in the module order beside it\n",
            ],
        ),
        (
            ".shop.v1.Order.customer_name",
            &[
                "field shop.v1.Order.customer_name\n",
                "Rust shop::v1::Order::customer_name\n",
                "code #[prost(string, optional, tag = \"1\")]\npub customer_name: ::core::option::Option<",
                "number 1\n",
                "type string\n",
                "wire type 2, LEN\n",
                "presence explicit: an Option\n",
                "boxed no\n",
                "JSON name customerName\n",
                "default that of the type\n",
                "comments 2 lines, ",
                "field_presence EXPLICIT, by the field\n",
                "message_encoding LENGTH_PREFIXED, by proto3\n",
            ],
        ),
        (
            "shop.v1.Order.card",
            &[
                "Rust shop::v1::order::Payment::Card\n",
                "code #[prost(string, tag = \"2\")]\nCard(",
                "oneof payment, the field payment\n",
            ],
        ),
        (
            "shop.v1.Order.payment",
            &[
                "oneof shop.v1.Order.payment\n",
                "Rust shop::v1::Order::payment\n",
                "members card, cash\n",
            ],
        ),
        (
            "shop.v1.Order.counts",
            &[
                "wire type 2, LEN: packed, each 0, VARINT\n",
                "repeated_field_encoding PACKED, by proto3\n",
            ],
        ),
        (
            "shop.v1.Order.next",
            &[
                "boxed yes: the message may hold itself by it\n",
                "type message shop.v1.Order\n",
            ],
        ),
        (
            "shop.v1.Order.kinds",
            &[
                "type map of string to enum shop.v1.Order.Kind\n",
                "presence map: a BTreeMap",
            ],
        ),
        (
            "shop.v1.Order.at",
            &[
                "type message google.protobuf.Timestamp (not generated: connect_rs::prost_types::Timestamp)\n",
            ],
        ),
        (
            "shop.v1.Order.loose",
            &[
                "wire type 1, I64, one after the other\n",
                "EXPANDED, by the field\n",
            ],
        ),
        (
            "shop.v1.Order.Kind.ONE",
            &[
                "enum value ",
                "Rust shop::v1::order::Kind::One\n",
                "code One = 1,\n",
                "number 1\n",
            ],
        ),
        (
            "shop.v1.Shop",
            &[
                "trait shop::v1::Shop\n",
                "server shop::v1::ShopServer\n",
                "methods Buy\n",
                "comments 1 line, ",
            ],
        ),
        (
            "shop.v1.Shop.Buy",
            &[
                "procedure /shop.v1.Shop/Buy\n",
                "stream type client stream\n",
                "idempotency idempotent\n",
                "input shop.v1.Order: shop::v1::Order\n",
                "trait method fn buy(\n",
            ],
        ),
        (
            "google.protobuf.Timestamp",
            &["code none: it is not generated, but exists\n"],
        ),
    ];
    for (name, parts) in cases {
        let text = explain(name);
        for part in *parts {
            assert!(text.contains(part), "{name}: {part:?} in\n{text}");
        }
    }
    let ran = run(
        dir.path(),
        &["explain", "shop.v1.Order.costumer_name", "shop.proto"],
    );
    let help = "  = help: did you mean shop.v1.Order.customer_name?\n";
    assert!(
        ran.code == Some(2) && ran.err.ends_with(help),
        "{}",
        ran.err
    );
}

/// From descriptors, as protox knows no editions.
#[test]
fn explain_says_where_features_come_from() {
    use prost::Message as _;
    let dir = TempDir::new("features");
    // features { field_presence: IMPLICIT } and { repeated_field_encoding: EXPANDED }, as protobuf has them.
    let (implicit, expanded) = (vec![0x08, 0x02], vec![0x18, 0x02]);
    let field =
        |name: &[u8], number: u8| [&[0x0a, 1], name, &[0x18, number, 0x20, 1, 0x28, 5]].concat();
    let message = |name: &[u8], fields: &[Vec<u8>], own: &[u8]| {
        let mut out = [&[0x0a, 1], name].concat();
        for field in fields {
            out.extend(
                [
                    &[0x12, u8::try_from(field.len()).unwrap()],
                    field.as_slice(),
                ]
                .concat(),
            );
        }
        if !own.is_empty() {
            let len = u8::try_from(own.len()).unwrap();
            out.extend([&[0x3a, len + 2, 0x62, len], own].concat());
        }
        out
    };
    let mut file = b"\x0a\x07a.proto".to_vec();
    for message in [
        message(b"A", &[field(b"a", 1)], &implicit),
        message(b"B", &[field(b"b", 1)], &[]),
    ] {
        file.extend(
            [
                &[0x22, u8::try_from(message.len()).unwrap()],
                message.as_slice(),
            ]
            .concat(),
        );
    }
    // FileOptions.features, then syntax and edition.
    file.extend([&[0x42, 5, 0x92, 0x03, 2], expanded.as_slice()].concat());
    file.extend(b"\x62\x08editions\x70\xe8\x07");
    let set = [&[0x0a, u8::try_from(file.len()).unwrap()], file.as_slice()].concat();
    prost_types::FileDescriptorSet::decode(set.as_slice()).unwrap();
    fs::write(dir.path().join("set.binpb"), set).unwrap();
    for (name, presence) in [
        ("A.a", "IMPLICIT, by the message A"),
        ("B.b", "EXPLICIT, by the edition"),
    ] {
        let ran = run(
            dir.path(),
            &["explain", name, "--descriptor-set", "set.binpb"],
        );
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        for part in [
            presence,
            "EXPANDED, by the file",
            "LENGTH_PREFIXED, by the edition",
        ] {
            assert!(ran.out.contains(part), "{name}: {part} in\n{}", ran.out);
        }
    }
}

#[test]
fn a_wrong_call_is_told_what_is_right() {
    let dir = shop("usage");
    for (arguments, says) in [
        (&[][..], "what to do is not said, see --help"),
        (&["chek", "proto"], "unknown command \"chek\", see --help"),
        (&["check"], "no files are given, see --help"),
        (&["check", "--nothing"], "see --help"),
        (&["check", "nowhere.proto"], "nowhere.proto does not exist"),
        (&["generate", "proto"], "generate needs --out, see --help"),
        (&["diff", "proto"], "diff needs --out, see --help"),
        (
            &["check", "proto", "-o", "code"],
            "--out is for generate and diff",
        ),
        (&["explain"], "explain needs the full name of an element"),
        (
            &["check", "proto", "--descriptor-set", "x"],
            "one of them is enough",
        ),
        (&["check", "--descriptor-set", "x"], "cannot read x: "),
        (&["check", "proto", "--opt", "jsn"], "did you mean json?"),
        (
            &["check", "proto", "--compiler", "/nowhere/protoc"],
            "cannot start /nowhere/protoc",
        ),
    ] {
        let ran = run(dir.path(), arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(
            ran.err.starts_with("error: ") && ran.err.contains(says),
            "{}",
            ran.err
        );
        assert_eq!(ran.out, "");
    }
    fs::create_dir(dir.path().join("empty")).unwrap();
    let ran = run(dir.path(), &["check", "empty"]);
    assert!(ran.err.contains("no .proto file"), "{}", ran.err);
}

#[test]
fn the_command_explains_itself() {
    let here = Path::new(".");
    let help = run(here, &["--help"]);
    for part in [
        "connect-codegen explain NAME",
        "Exit code: 0 if all is well; 1 if",
        "--descriptor-set FILE",
    ] {
        assert!(
            help.code == Some(0) && help.out.contains(part),
            "{}",
            help.out
        );
    }
    assert_eq!(run(here, &["generate", "-h"]).out, help.out);
    assert_eq!(
        run(here, &["--version"]).out,
        concat!(env!("CARGO_PKG_VERSION"), "\n")
    );
}

/// The guide shows what it prints: blocks that begin with the call.
#[test]
fn the_guide_shows_what_is_printed() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let guide = fs::read_to_string(docs.join("codegen.md")).unwrap();
    let blocks: Vec<_> = guide.split("```text\n$ connect-codegen ").skip(1).collect();
    assert!(blocks.len() >= 2, "{}", blocks.len());
    for block in blocks {
        let (call, rest) = block.split_once('\n').unwrap();
        let (expected, _) = rest.split_once("```").unwrap();
        let arguments: Vec<_> = call.split(' ').collect();
        let ran = run(&docs, &arguments);
        assert_eq!(format!("{}{}", ran.out, ran.err), expected, "{call}");
    }
}

/// The checked-in example, and what its workflow calls.
#[test]
fn the_example_is_fresh() {
    let example: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/checked-in");
    let options = "crate_path=::connect_tokio,layout=modules";
    let ran = run(
        &example,
        &["diff", "-o", "src/generated", "--opt", options, "proto"],
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
}
