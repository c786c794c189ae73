//! The service.

use std::collections::HashMap;

use connect_tokio::{Error, Request, Response, ResponseStream};

use crate::generated::quotes::v1::{
    Price, QuoteRequest, QuoteResponse, QuoteService, WatchRequest, WatchResponse,
};

/// Prices that never change.
pub struct Quotes {
    prices: HashMap<String, i64>,
}

impl Quotes {
    pub fn new() -> Self {
        let prices = [("ACME", 12_345), ("INIT", 99)];
        Self {
            prices: prices.map(|(symbol, cents)| (symbol.into(), cents)).into(),
        }
    }

    fn price(&self, symbol: &str) -> Result<Price, Error> {
        let cents = self.prices.get(symbol);
        let cents = cents.ok_or_else(|| Error::not_found(format!("no share {symbol:?}")))?;
        Ok(Price {
            cents: *cents,
            at: None,
        })
    }
}

impl QuoteService for Quotes {
    async fn quote(
        &self,
        request: Request<QuoteRequest>,
    ) -> Result<Response<QuoteResponse>, Error> {
        let price = self.price(&request.message().symbol)?;
        Ok(Response::new(QuoteResponse { price: Some(price) }))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<ResponseStream<WatchResponse>>, Error> {
        let price = self.price(&request.message().symbol)?;
        Ok(Response::new(ResponseStream::generate(
            |mut prices| async move {
                prices.send(WatchResponse { price: Some(price) }).await;
                Ok(())
            },
        )))
    }
}

#[cfg(test)]
mod tests {
    use connect_tokio::{Code, InProcess, Router};

    use super::*;
    use crate::generated::quotes::v1::{QuoteServiceClient, QuoteServiceServer};

    #[tokio::test]
    async fn prices_are_known() -> Result<(), Error> {
        let router = Router::new().add_service(QuoteServiceServer::new(Quotes::new()));
        let client = QuoteServiceClient::new(InProcess::new(router));
        let symbol = String::from("ACME");
        let answer = client.quote(QuoteRequest { symbol }).await?.into_message();
        assert_eq!(answer.price.map(|price| price.cents), Some(12_345));
        let symbol = String::from("INIT");
        let mut stream = client.watch(WatchRequest { symbol }).await?.into_stream();
        let first = stream.message().await?.and_then(|answer| answer.price);
        assert_eq!(first.map(|price| price.cents), Some(99));
        let symbol = String::from("NONE");
        let error = client.quote(QuoteRequest { symbol }).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        Ok(())
    }
}
