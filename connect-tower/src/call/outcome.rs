//! How a call ended, told to the transport that carried it.

use std::{fmt, sync::Arc};

use connect_proto::Code;

/// Told how calls end: by a transport that sends less to servers that fail.
pub trait OutcomeListener: Send + Sync + 'static {
    /// A call that had a response has ended with this code, or well. Calls that were given up before their end are not told of.
    fn ended(&self, code: Option<Code>);
}

/// A transport's wish to know how a call ends, which only the layers above it can tell: a status comes in trailers, in a
/// body's last bytes.
///
/// The transport puts it into the extensions of the response; the client takes it out, and calls
/// [`ended`](OutcomeListener::ended) once. A layer in between keeps it where it is. Dropped, it says nothing.
#[derive(Clone)]
pub struct Outcome(Arc<dyn OutcomeListener>);

impl Outcome {
    /// To be told to this listener.
    #[must_use]
    pub fn new(listener: Arc<dyn OutcomeListener>) -> Self {
        Self(listener)
    }

    /// The call has ended.
    pub(crate) fn end(self, code: Option<Code>) {
        self.0.ended(code);
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").finish_non_exhaustive()
    }
}
