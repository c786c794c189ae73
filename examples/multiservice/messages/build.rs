//! Generates the messages of all schemas.

fn main() -> Result<(), connect_codegen::Error> {
    connect_codegen::Config::new()
        .with_server(false)
        .with_client(false)
        .compile(
            &[
                "../proto/shop/catalog/v1/catalog.proto",
                "../proto/shop/orders/v1/orders.proto",
            ],
            &["../proto"],
        )
}
