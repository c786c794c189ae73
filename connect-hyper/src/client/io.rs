//! A connection's bytes, read within a budget.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::{read_budget::ReadBudget, runtime::BoxIo};

/// The IO of a connection, which reads only so much in one poll of the connection's task.
pub(super) struct BudgetedIo {
    io: BoxIo,
    budget: ReadBudget,
}

impl BudgetedIo {
    /// The task that drives the connection refills the budget at each poll.
    pub(super) fn new(io: BoxIo) -> (Self, ReadBudget) {
        let budget = ReadBudget::new();
        let shared = budget.clone();
        (Self { io, budget }, shared)
    }
}

impl Read for BudgetedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.budget.poll_spend(cx));
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for BudgetedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
