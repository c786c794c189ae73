//! Compiles the batch's schema.

fn main() -> Result<(), connect_codegen::Error> {
    connect_codegen::Config::new().compile(&["proto/bench/v1/log.proto"], &["proto"])
}
