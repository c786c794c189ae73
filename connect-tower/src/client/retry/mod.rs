//! One call, several requests: what was surely not begun is sent again.

pub(crate) mod attempting;
pub(crate) mod attempts;
pub(crate) mod resends;
pub(crate) mod source;
