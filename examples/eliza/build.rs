//! Compiles the service's schema; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect_codegen::Config::new()
        .compile(&["proto/connectrpc/eliza/v1/eliza.proto"], &["proto"])?;
    Ok(())
}
