//! The messages of the shop, as a tree of modules: `shop::types::v1::Item`.

connect_codec::include_protos!();
