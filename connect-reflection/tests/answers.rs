//! What the service answers, through a router.

mod common;
#[path = "../../connect-tower/tests/common/mod.rs"]
mod tower;

use common::{
    answer, answers, block_on, client, extension, extensions, file, file_names, reflecting,
    reflection, request, responses, symbol, zoo,
};
use connect_health::Health;
use connect_reflection::{
    Reflection,
    v1::{
        ErrorResponse, ExtensionNumberResponse, ServerReflectionRequest,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
    },
};
use connect_tower::{
    Client, ClientConfig, Code, InProcess, Protocol, Request, Response, Router, Spec, StreamType,
};

#[track_caller]
fn assert_error(answer: &Answer, code: Code) {
    let Answer::ErrorResponse(ErrorResponse {
        error_code,
        error_message,
    }) = answer
    else {
        panic!("no error: {answer:?}");
    };
    assert_eq!(*error_code, i32::from(code.number()));
    assert!(!error_message.is_empty());
}

#[test]
fn every_protocol_codec_and_version_answers_alike() {
    let router = Router::new()
        .add_service(Health::new())
        .add_service(reflection([zoo()]));
    let client = client(router);
    let questions = || {
        [
            Question::ListServices(String::new()),
            symbol("zoo.Keeper"),
            symbol("zoo.Warden"),
            file("zoo/animal.proto"),
            extensions("zoo.Label"),
        ]
    };
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            for version in [0, 1] {
                let config = ClientConfig::new()
                    .with_protocol(protocol)
                    .with_codec(codec);
                let client = client.clone().with_config(config);
                all.push(block_on(responses(
                    &client,
                    version,
                    questions().map(request),
                )));
            }
        }
    }
    for responses in &all {
        assert_eq!(responses, &all[0]);
    }
    for (response, question) in all[0].iter().zip(questions()) {
        assert_eq!(response.valid_host, "here");
        assert_eq!(response.original_request, Some(request(question)));
    }
}

#[test]
fn services_are_those_that_are_served() {
    const OTHER: Spec = Spec::new("/some.Other/Call", StreamType::Unary);
    let other = Router::new().unary(OTHER, |_: Request<()>| async { Ok(Response::new(())) });
    let served = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "some.Other",
    ];
    // `zoo.Keeper` is described, but not served.
    let reflection = reflection([zoo()]);
    let first = Router::new()
        .add_service(reflection.clone())
        .add_service(Health::new())
        .merge(other.clone())
        .unwrap();
    let last = other
        .clone()
        .add_service(Health::new())
        .add_service(reflection.clone());
    let merged = Router::new().add_service(reflection).merge(other).unwrap();
    let merged = Router::new()
        .add_service(Health::new())
        .merge(merged)
        .unwrap();
    for router in [first, last, merged] {
        assert_eq!(services(&client(router.clone())), served);
        assert_eq!(router.service_names(), served);
        let found = answer(&client(router), symbol("grpc.health.v1.Health.Check"));
        assert_eq!(file_names(&found), ["grpc/health/v1/health.proto"]);
    }
}

fn services(client: &Client<InProcess>) -> Vec<String> {
    let list = answer(client, Question::ListServices("*".into()));
    let Answer::ListServicesResponse(list) = list else {
        panic!("{list:?}");
    };
    list.service
        .into_iter()
        .map(|service| service.name)
        .collect()
}

/// Clones of a router share the service, not what it says.
#[test]
fn each_router_is_described_as_it_is() {
    let small = Router::new().add_service(Reflection::new());
    let large = small.clone().add_service(Health::new());
    let (small, large) = (client(small), client(large));
    for _ in 0..2 {
        assert_eq!(services(&small).len(), 2);
        assert_error(
            &answer(&small, symbol("grpc.health.v1.Health")),
            Code::NotFound,
        );
        assert_eq!(services(&large).len(), 3);
        let found = answer(&large, symbol("grpc.health.v1.Health"));
        assert_eq!(file_names(&found), ["grpc/health/v1/health.proto"]);
    }
}

/// What serves the service describes it: nothing else is linked.
#[test]
fn reflection_describes_itself() {
    let client = client(Router::new().add_service(Reflection::new()));
    for version in ["v1", "v1alpha"] {
        let service = format!("grpc.reflection.{version}.ServerReflection");
        let found = answer(&client, symbol(&service));
        let expected = format!("grpc/reflection/{version}/reflection.proto");
        assert_eq!(file_names(&found)[0], expected);
    }
}

#[test]
fn symbols_of_all_kinds_lead_to_their_file() {
    let client = client(
        Router::new()
            .add_service(Health::new())
            .add_service(reflection([zoo()])),
    );
    for (name, file) in [
        ("zoo.Keeper", "zoo/zoo.proto"),
        ("zoo.Keeper.Feed", "zoo/zoo.proto"),
        ("zoo.Meal", "zoo/zoo.proto"),
        ("zoo.Meal.portions", "zoo/zoo.proto"),
        ("zoo.Meal.when", "zoo/zoo.proto"),
        ("zoo.Meal.now", "zoo/zoo.proto"),
        ("zoo.Meal.MoreEntry", "zoo/zoo.proto"),
        ("zoo.Meal.MoreEntry.value", "zoo/zoo.proto"),
        ("zoo.Meal.Portion", "zoo/zoo.proto"),
        ("zoo.Meal.Portion.food", "zoo/zoo.proto"),
        ("zoo.Animal.Kind", "zoo/animal.proto"),
        ("zoo.Animal.KIND_LION", "zoo/animal.proto"),
        ("zoo.Food", "zoo/food.proto"),
        ("zoo.MEAT", "zoo/food.proto"),
        ("zoo.unit", "zoo/food.proto"),
        ("zoo.Weight.weight", "zoo/food.proto"),
        ("zoo.notes.note", "zoo/note.proto"),
        (
            "google.protobuf.Timestamp",
            "google/protobuf/timestamp.proto",
        ),
        ("grpc.health.v1.Health", "grpc/health/v1/health.proto"),
        (
            "grpc.reflection.v1.ServerReflection",
            "grpc/reflection/v1/reflection.proto",
        ),
        (
            "grpc.reflection.v1alpha.ServerReflection",
            "grpc/reflection/v1alpha/reflection.proto",
        ),
    ] {
        assert_eq!(
            file_names(&answer(&client, symbol(name)))[0],
            file,
            "{name}"
        );
    }
    for name in [
        "",
        "zoo",
        "zoo.Animal.Kind.KIND_LION",
        "Keeper",
        "zoo.Keeper.",
    ] {
        assert_error(&answer(&client, symbol(name)), Code::NotFound);
    }
}

#[test]
fn files_are_found_by_name() {
    let client = reflecting([zoo()]);
    let found = answer(&client, file("zoo/animal.proto"));
    assert_eq!(
        file_names(&found),
        [
            "zoo/animal.proto",
            "zoo/food.proto",
            "google/protobuf/descriptor.proto"
        ]
    );
    assert_error(&answer(&client, file("animal.proto")), Code::NotFound);
}

#[test]
fn extensions_are_found_by_message_and_number() {
    let client = reflecting([zoo()]);
    for (message, number, file) in [
        ("zoo.Label", 100, "zoo/food.proto"),
        ("zoo.Label", 150, "zoo/note.proto"),
        ("google.protobuf.FieldOptions", 50000, "zoo/food.proto"),
    ] {
        let found = answer(&client, extension(message, number));
        assert_eq!(file_names(&found)[0], file);
    }
    for (message, number) in [("zoo.Label", 101), ("zoo.Nothing", 1), ("zoo.Meal", 1)] {
        assert_error(&answer(&client, extension(message, number)), Code::NotFound);
    }
    for (message, numbers) in [("zoo.Label", &[100, 150][..]), ("zoo.Meal", &[])] {
        assert_eq!(
            answer(&client, extensions(message)),
            Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                base_type_name: message.to_owned(),
                extension_number: numbers.to_vec(),
            })
        );
    }
    for name in ["zoo.Nothing", "zoo.Food", "zoo.Keeper"] {
        assert_error(&answer(&client, extensions(name)), Code::NotFound);
    }
}

#[test]
fn imports_are_sent_once_in_a_stream() {
    let client = reflecting([zoo()]);
    let found = answers(
        &client,
        [
            file("zoo/animal.proto"),
            symbol("zoo.Keeper"),
            symbol("zoo.Food"),
        ],
    );
    let names: Vec<_> = found.iter().map(file_names).collect();
    assert_eq!(
        names[1],
        ["zoo/zoo.proto", "google/protobuf/timestamp.proto"]
    );
    // The file that was asked for comes even so.
    assert_eq!(names[2], ["zoo/food.proto"]);
}

#[test]
fn a_question_without_an_answer_does_not_end_the_stream() {
    let client = reflecting([zoo()]);
    let nothing = ServerReflectionRequest::default();
    let requests = [
        nothing,
        request(file("no.proto")),
        request(file("zoo/food.proto")),
    ];
    let responses = block_on(responses(&client, 1, requests));
    let answers: Vec<_> = responses
        .iter()
        .map(|response| response.message_response.clone().unwrap())
        .collect();
    assert_error(&answers[0], Code::InvalidArgument);
    assert_error(&answers[1], Code::NotFound);
    assert_eq!(file_names(&answers[2])[0], "zoo/food.proto");
}
