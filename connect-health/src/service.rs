//! The methods of the service.

use connect_tower::{Error, Request, Response, ResponseStream};

use crate::{
    Health,
    response::response,
    v1::{self, HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse},
    watch::Watch,
};

impl v1::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Error> {
        let service = &request.message().service;
        match self.status(service) {
            Some(status) => Ok(Response::new(response(Some(status)))),
            None => Err(Error::not_found(
                "the health of this service is not known: nobody has set it",
            )),
        }
    }

    async fn list(
        &self,
        _request: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Error> {
        let count = self.statuses.len();
        if count > MAX_LISTED {
            return Err(Error::resource_exhausted(format!(
                "{count} services are known, and a list has at most {MAX_LISTED}: check them by name"
            )));
        }
        let statuses = self.statuses.all().into_iter();
        let statuses = statuses.map(|(service, status)| (service, response(Some(status))));
        Ok(Response::new(HealthListResponse {
            statuses: statuses.collect(),
        }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<ResponseStream<HealthCheckResponse>>, Error> {
        let service = request.into_message().service;
        let max = self.max_name_bytes;
        if service.len() > max {
            return Err(Error::invalid_argument(format!(
                "the name of the service has {} bytes, and at most {max} can be watched",
                service.len()
            )));
        }
        Ok(Response::stream(Watch::new(self.statuses.clone(), service)))
    }
}

/// `grpc.health.v1.Health.List`: "The maximum number of services to return is 100".
const MAX_LISTED: usize = 100;
