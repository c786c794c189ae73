//! Code that is generated and checked in elsewhere in the repository is fresh.

mod support;

use connect_codegen::{Config, descriptors, generate};
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};
use support::{assert_fresh, generate_all};

#[test]
fn google_rpc_in_connect_codec() {
    let files = [
        "connect-codec/proto/google/rpc/error_details.proto",
        "connect-codec/proto/google/rpc/status.proto",
    ];
    let config = Config::new()
        .with_crate_path("crate")
        .with_descriptor_set(false);
    let generated = generate_all(&files, "connect-codec/proto", &config);
    let file = generated
        .iter()
        .find(|file| file.name == "google.rpc.rs")
        .unwrap();
    assert_fresh("connect-codec/src/generated/google.rpc.rs", &file.content);
}

/// `descriptor.proto` and its like, which prost-types has without JSON.
#[test]
fn google_protobuf_in_connect_codec() {
    let files = ["api", "descriptor", "source_context", "type"];
    let files = files.map(|name| format!("google/protobuf/{name}.proto"));
    let set = descriptors(&files, &["."]).unwrap();
    let mut set = FileDescriptorSet::decode(set.as_slice()).unwrap();
    for file in &mut set.file {
        file.source_code_info = None;
        file.enum_type.retain(|e| e.name() != "Edition");
        file.message_type
            .retain(|message| !message.name().starts_with("FeatureSet"));
        file.message_type.iter_mut().for_each(forget_editions);
    }
    let config = Config::new()
        .with_crate_path("crate")
        .with_descriptor_set(false)
        .with_json_of_well_known_types();
    let generated = generate(&set.encode_to_vec(), &files, &config).unwrap();
    let name = "google.protobuf.rs";
    let file = generated.iter().find(|file| file.name == name).unwrap();
    assert_fresh(
        "connect-codec/src/generated/google.protobuf.rs",
        &file.content,
    );
}

/// Removes what prost-types 0.14 does not have: protox knows a later version of the files.
fn forget_editions(message: &mut DescriptorProto) {
    const LATER_FIELDS: [&str; 12] = [
        "debug_redact",
        "declaration",
        "deprecated_legacy_json_field_conflicts",
        "edition",
        "edition_defaults",
        "feature_support",
        "features",
        "retention",
        "semantic",
        "targets",
        "unverified_lazy",
        "verification",
    ];
    const LATER_TYPES: [&str; 7] = [
        "Declaration",
        "EditionDefault",
        "FeatureSupport",
        "OptionRetention",
        "OptionTargetType",
        "Semantic",
        "VerificationState",
    ];
    message
        .field
        .retain(|field| !LATER_FIELDS.contains(&field.name()));
    message
        .nested_type
        .retain(|nested| !LATER_TYPES.contains(&nested.name()));
    message
        .enum_type
        .retain(|nested| !LATER_TYPES.contains(&nested.name()));
    message.nested_type.iter_mut().for_each(forget_editions);
}

#[test]
fn messages_for_the_json_tests_of_connect_codec() {
    let files = [
        "connect-codec/tests/proto/json_proto2.proto",
        "connect-codec/tests/proto/json_proto3.proto",
    ];
    let config = Config::new()
        .with_crate_path("::connect_codec")
        .with_descriptor_set(false);
    for file in generate_all(&files, "connect-codec/tests/proto", &config) {
        if file.name.starts_with("test.") {
            let path = format!("connect-codec/tests/generated/{}", file.name);
            assert_fresh(&path, &file.content);
        }
    }
}

#[test]
fn grpc_health() {
    assert_standard_service_is_fresh("connect-health", "health", "v1", &standard_service());
}

#[test]
fn grpc_reflection() {
    let config = standard_service();
    assert_standard_service_is_fresh("connect-reflection", "reflection", "v1", &config);
    // The messages differ in name only.
    let config = config.add_extern_path(".grpc.reflection.v1alpha", "crate::v1");
    assert_standard_service_is_fresh("connect-reflection", "reflection", "v1alpha", &config);
}

fn standard_service() -> Config {
    Config::new().with_crate_path("::connect_tower")
}

fn assert_standard_service_is_fresh(krate: &str, name: &str, version: &str, config: &Config) {
    let include = format!("{krate}/proto");
    let file = format!("{include}/grpc/{name}/{version}/{name}.proto");
    let generated = generate_all(&[&file], &include, config);
    let output = format!("grpc.{name}.{version}.rs");
    let file = generated.iter().find(|file| file.name == output).unwrap();
    assert_fresh(&format!("{krate}/src/generated/{output}"), &file.content);
}

/// What the check crate compiles, and calls.
#[test]
fn golden_files() {
    let files = [
        "connect-codegen/check/proto/kept.proto",
        "connect-codegen/check/proto/names.proto",
        "connect-codegen/check/proto/services.proto",
        "connect-codegen/check/proto/shapes/v1/legacy.proto",
        "connect-codegen/check/proto/shapes/v1/shapes.proto",
        "connect-codegen/check/proto/shapes/v1/tour.proto",
        "connect-codegen/check/proto/shop.proto",
        "connect-codegen/check/proto/shop_order.proto",
        "connect-codegen/check/proto/shop_stock.proto",
        "connect-codegen/check/proto/unnamed.proto",
    ];
    let config = Config::new()
        .with_crate_path("::connect_tower")
        .with_out_dir("relative includes")
        .add_unknown_fields(".kept");
    for file in generate_all(&files, "connect-codegen/check/proto", &config) {
        let path = format!("connect-codegen/tests/generated/{}", file.name);
        assert_fresh(&path, &file.content);
    }
}
