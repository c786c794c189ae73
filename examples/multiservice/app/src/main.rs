//! Serves the catalog and the orders of a shop on one port, or buys from it:
//!
//! ```text
//! cargo run -p multiservice
//! cargo run -p multiservice -- buy tea cup
//! ```

mod shop;

use std::env;

use connect_tokio::{Channel, Error, Server, Transport};
use multiservice_messages::shop::{catalog::v1::GetItemRequest, types::v1::Money};
use multiservice_services::shop::{
    catalog::v1::CatalogServiceClient, orders::v1::OrderServiceClient,
};

const ADDRESS: &str = "127.0.0.1:8080";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    match args.next().as_deref() {
        None => {
            let server = Server::bind(ADDRESS).await?;
            println!("listening on http://{ADDRESS}");
            server.serve(shop::router()).await;
        }
        Some("buy") => {
            let ids: Vec<_> = args.collect();
            let total = buy(Channel::new(format!("http://{ADDRESS}"))?, &ids).await?;
            println!("{} {}", total.cents, total.currency);
        }
        Some(other) => return Err(format!("unknown command {other:?}: there is buy").into()),
    }
    Ok(())
}

/// What one service gives out, the other takes: it is the same type.
async fn buy<T: Transport>(transport: T, ids: &[String]) -> Result<Money, Error> {
    let catalog = CatalogServiceClient::new(transport.clone());
    let mut order = OrderServiceClient::new(transport).order();
    for id in ids {
        let item = catalog.get_item(GetItemRequest { id: id.clone() }).await?;
        order.send(item.into_message()).await?;
    }
    let answer = order.close_and_receive().await?.into_message();
    Ok(answer.total.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use connect_tokio::{Code, InProcess};

    use super::*;

    #[tokio::test]
    async fn items_of_the_catalog_can_be_ordered() -> Result<(), Error> {
        let transport = InProcess::new(shop::router());
        let total = buy(transport.clone(), &["tea".into(), "cup".into()]).await?;
        assert_eq!((total.cents, total.currency.as_str()), (1149, "EUR"));
        let error = buy(transport, &["gold".into()]).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        Ok(())
    }
}
