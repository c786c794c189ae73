//! What a user's crate with generated code looks like, under lints that a user may have on.

/// Included from the build script's output.
pub mod built {
    connect_tower::include_protos!();
}

/// Included from files that are checked in.
pub mod checked_in {
    include!("../../tests/generated/_protos.rs");
}

/// Included with options that are not the defaults.
pub mod other {
    include!(concat!(env!("OUT_DIR"), "/other/_protos.rs"));
}

/// Included with views of all messages.
pub mod views {
    include!(concat!(env!("OUT_DIR"), "/views/_protos.rs"));
}

/// Earlier versions of messages.
pub mod older {
    include!(concat!(env!("OUT_DIR"), "/older/_protos.rs"));
}

/// Messages that do not keep unknown fields as those of [`built`] do.
pub mod dropping {
    include!(concat!(env!("OUT_DIR"), "/dropping/_protos.rs"));
}

/// Services over the messages of another module.
pub mod stubs {
    include!(concat!(env!("OUT_DIR"), "/stubs/_protos.rs"));
}

/// Without servers.
pub mod client {
    include!(concat!(env!("OUT_DIR"), "/client/_protos.rs"));
}

/// Without clients.
pub mod server {
    include!(concat!(env!("OUT_DIR"), "/server/_protos.rs"));
}

/// Nobody uses what is in here.
mod private {
    connect_tower::include_protos!();
}
