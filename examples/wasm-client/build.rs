//! Compiles the service's schema, for its client alone.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect_codegen::Config::new().with_server(false).compile(
        &["../eliza/proto/connectrpc/eliza/v1/eliza.proto"],
        &["../eliza/proto"],
    )?;
    Ok(())
}
