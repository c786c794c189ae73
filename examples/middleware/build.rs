//! Compiles the schema; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect_codegen::Config::new().compile(&["proto/notes/v1/notes.proto"], &["proto"])?;
    Ok(())
}
