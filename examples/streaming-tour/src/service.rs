//! The server's side: a handler for each stream type.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use connect_tokio::{Error, Request, Response, ResponseStream, Streaming};
use tokio::sync::watch;

use crate::meter::{Difference, MeterService, ReadRequest, Reading, UploadSummary, WatchRequest};

/// A meter that counts how many readings it has made, and tells when nobody watches it.
#[derive(Debug)]
pub(crate) struct Meter {
    made: Arc<AtomicI64>,
    watchers: watch::Sender<usize>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            made: Arc::default(),
            watchers: watch::Sender::new(0),
        }
    }

    /// How many readings watchers were given, on their way or arrived.
    pub(crate) fn made(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.made)
    }

    /// How many calls of `Watch` are open.
    pub(crate) fn watchers(&self) -> watch::Receiver<usize> {
        self.watchers.subscribe()
    }
}

impl MeterService for Meter {
    async fn read(&self, _: Request<ReadRequest>) -> Result<Response<Reading>, Error> {
        Ok(Response::new(Reading { watt_hours: 1200 }))
    }

    async fn watch(
        &self,
        _: Request<WatchRequest>,
    ) -> Result<Response<ResponseStream<Reading>>, Error> {
        let watching = Watching::new(&self.watchers);
        let made = self.made();
        Ok(Response::new(ResponseStream::generate(
            |mut readings| async move {
                // Dropped with this code, wherever it stands then: at the `await`, when the client goes away.
                let _watching = watching;
                loop {
                    let watt_hours = made.fetch_add(1, Ordering::Relaxed);
                    // Waits while the client does not read.
                    readings.send(Reading { watt_hours }).await;
                }
            },
        )))
    }

    async fn upload(
        &self,
        request: Request<Streaming<Reading>>,
    ) -> Result<Response<UploadSummary>, Error> {
        let mut readings = request.into_stream();
        let mut summary = UploadSummary::default();
        // None: the client has closed its side. One that breaks off is an error.
        while let Some(reading) = readings.message().await? {
            if reading.watt_hours < 0 {
                return Err(Error::invalid_argument("a meter does not run backwards"));
            }
            summary.count += 1;
            summary.watt_hours = summary.watt_hours.saturating_add(reading.watt_hours);
        }
        Ok(Response::new(summary))
    }

    async fn compare(
        &self,
        request: Request<Streaming<Reading>>,
    ) -> Result<Response<ResponseStream<Difference>>, Error> {
        let mut readings = request.into_stream();
        Ok(Response::new(ResponseStream::generate(
            |mut differences| async move {
                let mut ends: Option<(i64, i64)> = None;
                while let Some(Reading { watt_hours }) = readings.message().await? {
                    let (first, last) = ends.unwrap_or((watt_hours, watt_hours));
                    differences.send(difference(last, watt_hours, false)).await;
                    ends = Some((first, watt_hours));
                }
                // The client has closed its side; the server's is still open.
                if let Some((first, last)) = ends {
                    differences.send(difference(first, last, true)).await;
                }
                Ok(())
            },
        )))
    }
}

fn difference(from: i64, to: i64, is_total: bool) -> Difference {
    Difference {
        watt_hours: to.saturating_sub(from),
        is_total,
    }
}

/// One open call of `Watch`.
struct Watching(watch::Sender<usize>);

impl Watching {
    fn new(watchers: &watch::Sender<usize>) -> Self {
        watchers.send_modify(|open| *open += 1);
        Self(watchers.clone())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
