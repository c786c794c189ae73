//! Which descriptor sets are taken, and what becomes of them.

mod common;
#[path = "../../connect-tower/tests/common/mod.rs"]
mod tower;

use common::{answer, file, file_names, files, reflecting, symbol, zoo};
use connect_reflection::{Reflection, v1::server_reflection_response::MessageResponse as Answer};
use connect_tower::{Router, bytes::Bytes};
use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

fn set<const N: usize>(files: [FileDescriptorProto; N]) -> FileDescriptorSet {
    FileDescriptorSet { file: files.into() }
}

/// A file with messages of these names.
fn file_with(name: &str, messages: &[&str]) -> FileDescriptorProto {
    let message_type = messages.iter().map(|name| DescriptorProto {
        name: Some((*name).to_owned()),
        ..DescriptorProto::default()
    });
    FileDescriptorProto {
        name: Some(name.to_owned()),
        message_type: message_type.collect(),
        ..FileDescriptorProto::default()
    }
}

fn importing(mut file: FileDescriptorProto, import: &str) -> FileDescriptorProto {
    file.dependency.push(import.to_owned());
    file
}

fn extending(mut file: FileDescriptorProto, name: &str) -> FileDescriptorProto {
    file.extension.push(FieldDescriptorProto {
        name: Some(name.to_owned()),
        extendee: Some(".M".to_owned()),
        number: Some(7),
        ..FieldDescriptorProto::default()
    });
    file
}

#[test]
fn sets_that_cannot_be_served_are_refused_with_the_reason() {
    let a = || file_with("a.proto", &["A"]);
    for (sets, reason) in [
        (
            vec![set([importing(a(), "b.proto")])],
            "a.proto imports b.proto",
        ),
        (vec![set([file_with("", &[])])], "without a name"),
        (
            vec![set([a()]), set([file_with("a.proto", &["B"])])],
            "descriptor set 2: its a.proto is not the a.proto",
        ),
        (
            vec![set([a(), file_with("b.proto", &["A"])])],
            "A is declared in a.proto and again in b.proto",
        ),
        (
            vec![set([file_with("a.proto", &["A", "A"])])],
            "A is declared in a.proto and again in a.proto",
        ),
        (
            vec![set([
                extending(file_with("m.proto", &["M"]), "x"),
                extending(file_with("n.proto", &[]), "y"),
            ])],
            "extension 7 of M is declared in m.proto and again in n.proto",
        ),
    ] {
        let sets = sets.iter().map(FileDescriptorSet::encode_to_vec);
        let error = Reflection::new(sets).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn bytes_that_are_no_set_are_refused() {
    let whole = zoo().encode_to_vec();
    for bytes in [
        &b"no descriptor set"[..],
        &whole[..whole.len() - 1],
        // A file whose content is cut short.
        &[0x0a, 0x02, 0x0a, 0x7f],
    ] {
        let error = Reflection::new([Bytes::copy_from_slice(bytes)]).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("descriptor set 1: it is no "), "{error}");
    }
}

#[test]
fn a_message_nested_too_deep_is_refused() {
    let mut message = DescriptorProto::default();
    for _ in 0..200 {
        message = DescriptorProto {
            name: Some("M".to_owned()),
            nested_type: vec![message],
            ..DescriptorProto::default()
        };
    }
    let mut file = file_with("a.proto", &[]);
    file.message_type.push(message);
    assert!(Reflection::new([set([file]).encode_to_vec()]).is_err());
}

#[test]
fn files_that_import_each_other_come_to_an_end() {
    let client = reflecting([set([
        importing(file_with("a.proto", &["A"]), "b.proto"),
        importing(file_with("b.proto", &["B"]), "a.proto"),
    ])]);
    let found = answer(&client, symbol("A"));
    assert_eq!(file_names(&found), ["a.proto", "b.proto"]);
}

#[test]
fn a_set_may_lack_what_another_one_has() {
    let user = importing(file_with("a.proto", &["A"]), "b.proto");
    let client = reflecting([set([user]), set([file_with("b.proto", &["B"])])]);
    let found = answer(&client, symbol("A"));
    assert_eq!(file_names(&found), ["a.proto", "b.proto"]);
}

#[test]
fn a_file_may_be_in_several_sets() {
    let mut without_comments = zoo();
    for file in &mut without_comments.file {
        file.source_code_info = None;
    }
    // Another version of the compiler, so to speak.
    let mut other_compiler = set([file_with("google/protobuf/timestamp.proto", &[])]);
    other_compiler.file[0].package = Some("google.protobuf".to_owned());
    let client = reflecting([zoo(), without_comments, other_compiler]);
    let found = files(&answer(&client, symbol("google.protobuf.Timestamp")));
    assert_eq!(found[0].message_type.len(), 1);
}

#[test]
fn files_are_given_out_as_they_came() {
    let field = DescriptorProto::default();
    let mut message = field.encode_to_vec();
    // A custom option, which prost-types does not know: field 1000 of the message's options.
    let options = [&[0xc0, 0x3e, 0x2a][..]].concat();
    message.extend([0x3a, u8::try_from(options.len()).unwrap()]);
    message.extend(options);
    let mut encoded = file_with("a.proto", &[]).encode_to_vec();
    encoded.extend([0x22, u8::try_from(message.len()).unwrap()]);
    encoded.extend(message);
    let mut bytes = vec![0x0a, u8::try_from(encoded.len()).unwrap()];
    bytes.extend(&encoded);

    let router = Reflection::new([bytes]).unwrap().add_to(Router::new());
    let Answer::FileDescriptorResponse(found) = answer(&common::client(router), file("a.proto"))
    else {
        panic!("no file");
    };
    assert_eq!(found.file_descriptor_proto, [encoded]);
}

#[test]
fn an_application_may_bring_the_schemas_of_the_standard_services() {
    let mut own = file_with("my/health.proto", &["HealthCheckRequest"]);
    own.package = Some("grpc.health.v1".to_owned());
    own.service.push(ServiceDescriptorProto {
        name: Some("Health".to_owned()),
        ..ServiceDescriptorProto::default()
    });
    let client = reflecting([set([own])]);
    let found = answer(&client, symbol("grpc.health.v1.Health"));
    assert_eq!(file_names(&found), ["my/health.proto"]);
}

#[test]
fn there_may_be_no_set_at_all() {
    let client = reflecting([]);
    let found = answer(&client, symbol("grpc.health.v1.Health.Watch"));
    assert_eq!(file_names(&found), ["grpc/health/v1/health.proto"]);
}
