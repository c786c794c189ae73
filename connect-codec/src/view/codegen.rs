//! What generated code names of this module: `__codegen::view` has all of it.

pub use super::{
    Map as Entries, MessageView, View, Viewed,
    input::{Input, Stop},
    kind::*,
    label::*,
};
pub use crate::{
    __view_message as message,
    wire::{Tag, Wire},
};
