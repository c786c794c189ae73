//! Compiles the schema; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect_codegen::Config::new().compile(&["proto/fleet/v1/fleet.proto"], &["proto"])?;
    Ok(())
}
