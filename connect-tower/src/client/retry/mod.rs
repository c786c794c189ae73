//! One call, several requests: what was surely not begun is sent again, what has failed is retried by policy, and what takes
//! long is hedged.

pub(crate) mod attempting;
pub(crate) mod hedge;
pub(crate) mod resends;
pub(crate) mod source;
