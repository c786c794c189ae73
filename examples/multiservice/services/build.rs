//! Generates services only: every message is in the other crate, under the same path.

fn main() -> Result<(), connect_codegen::Error> {
    connect_codegen::Config::new()
        .messages(false)
        .extern_path(".", "::multiservice_messages")
        .server_feature("server")
        .client_feature("client")
        .compile(
            &[
                "../proto/shop/catalog/v1/catalog.proto",
                "../proto/shop/orders/v1/orders.proto",
            ],
            &["../proto"],
        )
}
