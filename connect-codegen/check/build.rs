//! Generates the code under check.

use std::{env, path::Path};

use connect_codegen::{Config, Error};

fn main() -> Result<(), Error> {
    let files = [
        "proto/kept.proto",
        "proto/names.proto",
        "proto/services.proto",
        "proto/shapes/v1/legacy.proto",
        "proto/shapes/v1/shapes.proto",
        "proto/shapes/v1/tour.proto",
        "proto/shop.proto",
        "proto/shop_order.proto",
        "proto/shop_stock.proto",
        "proto/unnamed.proto",
    ];
    Config::new()
        .add_unknown_fields(".kept")
        .compile(&files, &["proto"])?;

    let Some(out) = env::var_os("OUT_DIR") else {
        return Ok(());
    };
    let out = Path::new(&out);
    // Everything else than by default.
    Config::new()
        .with_json(false)
        .with_default_methods(true)
        .with_bytes(None::<&str>)
        .add_hash_map(".")
        .add_boxed(".shapes.v1.Shape.extra")
        .add_unknown_fields(".kept.Order")
        .add_type_attribute(".shapes.v1.Side", "#[derive(PartialOrd)]")
        .add_field_attribute(".shapes.v1.Side.length", "#[doc(alias = \"size\")]")
        .with_crate_path("::connect_tower")
        .with_out_dir(out.join("other"))
        .with_descriptor_set(false)
        .compile(&files, &["proto"])?;
    // Views of everything.
    Config::new()
        .add_view(".")
        .add_unknown_fields(".kept")
        .with_crate_path("::connect_tower")
        .with_out_dir(out.join("views"))
        .compile(&files, &["proto"])?;
    // Services over messages that are elsewhere.
    Config::new()
        .add_extern_path(".shapes.v1", "crate::built::shapes::v1")
        .with_crate_path("::connect_tower")
        .with_out_dir(out.join("stubs"))
        .compile(&["proto/shapes/v1/tour.proto"], &["proto"])?;
    // The same messages with fewer fields, and without those that they do not know.
    for (name, include, config) in [
        ("older", "older", Config::new().add_unknown_fields(".")),
        ("dropping", "proto", Config::new()),
    ] {
        config
            .with_crate_path("::connect_tower")
            .with_out_dir(out.join(name))
            .compile(&[Path::new(include).join("kept.proto")], &[include])?;
    }
    // Halves of services.
    for (name, config) in [
        ("client", Config::new().with_server(false)),
        ("server", Config::new().with_client(false)),
    ] {
        config
            .with_crate_path("::connect_tower")
            .with_out_dir(out.join(name))
            .compile(&files, &["proto"])?;
    }
    Ok(())
}
