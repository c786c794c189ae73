//! Both services.

use connect_tokio::{Error, Request, Response, Router, Streaming};
use multiservice_messages::shop::{
    catalog::v1::GetItemRequest,
    orders::v1::OrderResponse,
    types::v1::{Item, Money},
};
use multiservice_services::shop::{
    catalog::v1::{CatalogService, CatalogServiceServer},
    orders::v1::{OrderService, OrderServiceServer},
};

/// Both services on the same paths, wherever they are served.
pub(crate) fn router() -> Router {
    Router::new()
        .add_service(CatalogServiceServer::new(Catalog))
        .add_service(OrderServiceServer::new(Orders))
}

struct Catalog;

impl CatalogService for Catalog {
    async fn get_item(&self, request: Request<GetItemRequest>) -> Result<Response<Item>, Error> {
        let id = request.into_message().id;
        let (title, cents) = match id.as_str() {
            "tea" => ("Green tea", 250),
            "cup" => ("A cup", 899),
            _ => return Err(Error::not_found(format!("no item {id:?}"))),
        };
        let price = Money {
            currency: "EUR".into(),
            cents,
        };
        Ok(Response::new(Item {
            id,
            title: title.into(),
            price: Some(price),
        }))
    }
}

struct Orders;

impl OrderService for Orders {
    async fn order(
        &self,
        request: Request<Streaming<Item>>,
    ) -> Result<Response<OrderResponse>, Error> {
        let mut items = request.into_stream();
        let (mut count, mut total) = (0, Money::default());
        while let Some(item) = items.message().await? {
            let price = item.price.unwrap_or_default();
            count += 1;
            total.cents = total.cents.saturating_add(price.cents);
            total.currency = price.currency;
        }
        Ok(Response::new(OrderResponse {
            items: count,
            total: Some(total),
        }))
    }
}
