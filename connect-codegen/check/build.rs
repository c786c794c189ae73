//! Generates the code under check.

use std::{env, path::Path};

use connect_codegen::{Config, Error};

fn main() -> Result<(), Error> {
    let files = [
        "proto/names.proto",
        "proto/services.proto",
        "proto/shapes/v1/legacy.proto",
        "proto/shapes/v1/shapes.proto",
        "proto/shapes/v1/tour.proto",
        "proto/unnamed.proto",
    ];
    Config::new().compile(&files, &["proto"])?;

    let Some(out) = env::var_os("OUT_DIR") else {
        return Ok(());
    };
    let out = Path::new(&out);
    // Everything else than by default.
    Config::new()
        .json(false)
        .default_methods(true)
        .bytes(None::<&str>)
        .hash_map(".")
        .boxed(".shapes.v1.Shape.extra")
        .type_attribute(".shapes.v1.Side", "#[derive(PartialOrd)]")
        .field_attribute(".shapes.v1.Side.length", "#[doc(alias = \"size\")]")
        .crate_path("::connect_tower")
        .out_dir(out.join("other"))
        .descriptor_set(false)
        .compile(&files, &["proto"])?;
    // Services over messages that are elsewhere.
    Config::new()
        .extern_path(".shapes.v1", "crate::built::shapes::v1")
        .crate_path("::connect_tower")
        .out_dir(out.join("stubs"))
        .compile(&["proto/shapes/v1/tour.proto"], &["proto"])?;
    // Halves of services.
    for (name, config) in [
        ("client", Config::new().server(false)),
        ("server", Config::new().client(false)),
    ] {
        config
            .crate_path("::connect_tower")
            .out_dir(out.join(name))
            .compile(&files, &["proto"])?;
    }
    Ok(())
}
