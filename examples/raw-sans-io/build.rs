//! Compiles the messages of the Eliza service; its traits and clients belong to the async layer, which is not here.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../eliza/proto";
    connect_codegen::Config::new()
        .with_server(false)
        .with_client(false)
        .compile(
            &[format!("{proto}/connectrpc/eliza/v1/eliza.proto")],
            &[proto],
        )?;
    Ok(())
}
