//! Generates services only: every message is in the other crate, under the same path.

fn main() -> Result<(), connect_codegen::Error> {
    connect_codegen::Config::new()
        .with_messages(false)
        .add_extern_path(".", "::multiservice_messages")
        .with_server_feature("server")
        .with_client_feature("client")
        .compile(
            &[
                "../proto/shop/catalog/v1/catalog.proto",
                "../proto/shop/orders/v1/orders.proto",
            ],
            &["../proto"],
        )
}
