//! What the build script has told Cargo.

use std::{fs, path::Path};

#[test]
fn the_script_runs_again_when_a_schema_changes() {
    let out = Path::new(env!("OUT_DIR"));
    let told = fs::read_to_string(out.with_file_name("output")).unwrap();
    for schema in ["proto/names.proto", "proto/shapes/v1/shapes.proto"] {
        let line = format!("cargo::rerun-if-changed={schema}");
        assert!(told.lines().any(|told| told == line), "{told}");
    }
    // These come with the compiler.
    assert!(!told.contains("google/protobuf"), "{told}");
}

/// What is in `shop.Order` is in the module of the package `shop.order`, and what is in `shop.Stock` in one
/// around that of `shop.stock.v1`.
#[test]
fn a_package_beside_a_message_shares_its_module() {
    use connect_codegen_check::built::shop::{
        Order, Stock,
        order::{By, Line, State, Ticket},
        stock::{Shelf, v1::Count},
    };
    let line = Line {
        name: String::from("tea"),
        tickets: [(String::from("a"), Ticket { number: 1 })].into(),
    };
    let order = Order {
        lines: vec![line],
        state: State::Paid.into(),
        by: Some(By::Ticket(Ticket { number: 2 })),
    };
    let shelf = Some(Shelf { number: 3 });
    assert_eq!(order.lines[0].tickets["a"].number, 1);
    assert_eq!(Stock { shelf }.shelf.map(|shelf| shelf.number), Some(3));
    assert_eq!(Count { number: 4 }.number, 4);
}
