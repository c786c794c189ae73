//! The services of the shop, as a tree of modules: `shop::orders::v1::OrderServiceClient`.

connect_tower::include_protos!();
