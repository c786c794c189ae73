//! Mutual TLS: the server asks each caller for a certificate, makes an identity of the names in it, and decides by that
//! who may do what. `cargo run -p mtls-identity` makes the certificates, serves, and calls as three workloads.

mod certificates;
mod identity;

/// Messages, service and client, generated from `proto/vault/v1/vault.proto`.
mod vault {
    connect_tokio::include_proto!("vault.v1");
}

use std::error::Error as StdError;

use certificates::{Authority, Pair};
use connect_tokio::{Channel, ClientTls, Error, Request, Response, Router, Server, ServerTls};
use identity::{ByCertificate, Identity};
use vault::{
    DeleteRequest, DeleteResponse, GetRequest, GetResponse, VaultService, VaultServiceClient,
    VaultServiceServer,
};

struct Vault;

impl VaultService for Vault {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Error> {
        let Some(reader) = request.extensions().get::<Identity>() else {
            return Err(Error::internal("the gate left no identity"));
        };
        Ok(Response::new(GetResponse {
            secret: format!("the {} is 42", request.message().name),
            reader: reader.to_string(),
        }))
    }

    async fn delete(&self, _: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Error> {
        Ok(Response::new(DeleteResponse {}))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let authority = Authority::new()?;
    let server_pair = authority.host("localhost")?;
    let tls = ServerTls::from_pem(&server_pair.chain, &server_pair.key)?
        .with_client_ca(authority.pem())?;
    let router = Router::new()
        .add_service(VaultServiceServer::new(Vault))
        .add_gate(ByCertificate);
    let server = Server::bind("127.0.0.1:0").await?.with_tls(tls);
    let uri = format!("https://localhost:{}", server.local_addr()?.port());
    tokio::spawn(server.serve(router));

    for name in [
        "spiffe://example.org/frontend",
        "spiffe://example.org/backup",
        "spiffe://elsewhere.example/backup",
    ] {
        let pair = authority.workload(name)?;
        println!("{name}");
        call(&uri, &authority, &pair).await?;
    }
    Ok(())
}

/// Calls both procedures with this certificate.
async fn call(uri: &str, authority: &Authority, pair: &Pair) -> Result<(), Box<dyn StdError>> {
    let tls = ClientTls::new()
        .add_ca(authority.pem())?
        .with_identity(&pair.chain, &pair.key)?;
    let channel = Channel::builder(uri).with_tls(tls).build()?;
    let client = VaultServiceClient::new(channel);
    let name = String::from("answer");
    match client.get(GetRequest { name: name.clone() }).await {
        Ok(response) => {
            let GetResponse { secret, reader } = response.into_message();
            println!("  get: {secret} (read by {reader})");
        }
        Err(error) => println!("  get: {error}"),
    }
    match client.delete(DeleteRequest { name }).await {
        Ok(_) => println!("  delete: done"),
        Err(error) => println!("  delete: {error}"),
    }
    Ok(())
}
