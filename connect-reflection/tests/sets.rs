//! Which descriptor sets are taken, and what becomes of them.

mod common;
#[path = "../../connect-tower/tests/common/mod.rs"]
mod tower;

use common::{
    answer, block_on, file, file_names, files, reflecting, reflection, request, symbol, zoo,
};
use connect_health::Health;
use connect_reflection::{
    Reflection,
    v1::{ServerReflectionClient, server_reflection_response::MessageResponse as Answer},
};
use connect_tower::{Client, Code, Error, InProcess, Router, bytes::Bytes};
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

/// The error of a call.
fn refused(client: &Client<InProcess>) -> Error {
    let mut call = ServerReflectionClient::from_client(client.clone()).server_reflection_info();
    block_on(async {
        // The server need not wait for it.
        let _ = call.send(request(symbol("A"))).await;
        call.message().await.unwrap_err()
    })
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
        let reflection = reflection(sets);
        let router = Router::new().add_service(reflection.clone());
        let error = reflection.check(&router).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        // A server that does not check says so in each call.
        for _ in 0..2 {
            let error = refused(&common::client(router.clone()));
            assert_eq!(error.code(), Code::Internal);
            assert!(error.message().contains(reason), "{error}");
        }
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
        let reflection = Reflection::new().add_descriptor_set(Bytes::copy_from_slice(bytes));
        let error = reflection.check(&Router::new()).unwrap_err();
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
    assert!(reflection([set([file])]).check(&Router::new()).is_err());
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

    let reflection = Reflection::new().add_descriptor_set(bytes);
    let client = common::client(Router::new().add_service(reflection));
    let Answer::FileDescriptorResponse(found) = answer(&client, file("a.proto")) else {
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
    let router = Router::new()
        .add_service(Health::new())
        .add_service(reflection([set([own])]));
    let found = answer(&common::client(router), symbol("grpc.health.v1.Health"));
    assert_eq!(file_names(&found), ["my/health.proto"]);
}

#[test]
fn an_application_may_bring_another_version_of_a_file() {
    let name = "grpc/health/v1/health.proto";
    let router = Router::new()
        .add_service(Health::new())
        .add_service(reflection([set([file_with(name, &["Other"])])]));
    let client = common::client(router);
    assert_eq!(files(&answer(&client, file(name)))[0].message_type.len(), 1);
    assert_eq!(file_names(&answer(&client, symbol("Other"))), [name]);
}

/// Two versions of a file, in the generated code of two crates.
#[test]
fn sets_of_the_router_must_go_together_too() {
    // `a.proto` with nothing, and with the package `p`.
    const PLAIN: &[u8] = b"\x0a\x09\x0a\x07a.proto";
    const IN_PACKAGE: &[u8] = b"\x0a\x0c\x0a\x07a.proto\x12\x01p";
    let router = |set| {
        Router::new()
            .add_service(Reflection::new())
            .add_methods(|methods| {
                methods.add_descriptor_set(PLAIN).add_descriptor_set(set);
            })
    };
    let check = |set| Reflection::new().check(&router(set));
    assert_eq!(check(PLAIN), Ok(()));
    let error = check(IN_PACKAGE).unwrap_err().to_string();
    let expected = "descriptor set 4 of the router: its a.proto is not the a.proto";
    assert!(error.starts_with(expected), "{error}");
}
