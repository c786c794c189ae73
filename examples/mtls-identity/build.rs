//! Compiles the schema; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect_codegen::Config::new().compile(&["proto/vault/v1/vault.proto"], &["proto"])?;
    Ok(())
}
