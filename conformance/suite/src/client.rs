//! The client under test: makes the calls that the runner describes and reports what came of them.

mod calls;

use std::{
    collections::HashMap,
    error::Error as StdError,
    io,
    sync::{Mutex, PoisonError},
    thread,
};

use bytes::Bytes;
use connect_tower::{Client, ClientConfig, GetPolicy, Limits, Protocol, Transport};
use futures::{SinkExt, Stream, StreamExt, channel::mpsc, executor};

use crate::{
    codecs, compression, delimited,
    proto::{
        self, ClientCompatRequest, ClientCompatResponse, ClientErrorResult,
        ConformanceServiceClient, client_compat_response,
    },
};

/// How many calls are under way at once. Many of them only wait.
const CONCURRENT_CALLS: usize = 64;

/// Where the runner's server listens, and how it is to be reached.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// The server's address: host and port.
    pub authority: String,
    /// HTTP/2, else HTTP/1.1.
    pub http2: bool,
    /// The certificate to trust, as PEM; none in cleartext.
    pub server_cert: Option<Bytes>,
    /// The certificate and the key to show, as PEM.
    pub identity: Option<(Bytes, Bytes)>,
}

/// Makes every call that standard input describes and writes the outcomes to standard output.
///
/// `connect` makes the channel to a server; one is kept for each.
///
/// # Errors
///
/// When the runner's side of standard input or output breaks.
pub async fn run<T, E>(connect: impl Fn(&Endpoint) -> Result<T, E>) -> io::Result<()>
where
    T: Transport,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let channels = Mutex::new(HashMap::new());
    let channel = |endpoint: Endpoint| {
        let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&endpoint) {
            return Ok(T::clone(channel));
        }
        let channel = connect(&endpoint).map_err(Into::into)?;
        channels.insert(endpoint, channel.clone());
        Ok(channel)
    };
    let outcomes = requests().map(|request| async { Ok(answer(request?, &channel).await) });
    let mut outcomes = outcomes.buffer_unordered(CONCURRENT_CALLS);
    while let Some(outcome) = outcomes.next().await {
        let outcome: io::Result<_> = outcome;
        delimited::write(&mut io::stdout().lock(), &outcome?)?;
    }
    Ok(())
}

/// What standard input asks for, read on a thread so that no runtime has to.
fn requests() -> impl Stream<Item = io::Result<ClientCompatRequest>> {
    let (mut sender, receiver) = mpsc::channel(CONCURRENT_CALLS);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(request) = delimited::read(&mut input).transpose() {
            let failed = request.is_err();
            if executor::block_on(sender.send(request)).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

type Failure = Box<dyn StdError + Send + Sync>;

async fn answer<T: Transport>(
    request: ClientCompatRequest,
    channel: impl Fn(Endpoint) -> Result<T, Failure>,
) -> ClientCompatResponse {
    let test_name = request.test_name.clone();
    let made = async {
        let channel = channel(endpoint(&request))?;
        let timer = channel.timer();
        calls::make(&client(&request, channel)?, timer, &request).await
    };
    let result = match made.await {
        Ok(result) => client_compat_response::Result::Response(result),
        Err(failure) => client_compat_response::Result::Error(ClientErrorResult {
            message: failure.to_string(),
        }),
    };
    ClientCompatResponse {
        test_name,
        result: Some(result),
    }
}

fn endpoint(request: &ClientCompatRequest) -> Endpoint {
    let tls = !request.server_tls_cert.is_empty();
    Endpoint {
        authority: format!("{}:{}", request.host, request.port),
        http2: request.http_version() == proto::HttpVersion::HttpVersion2,
        server_cert: tls.then(|| request.server_tls_cert.clone()),
        identity: request
            .client_tls_creds
            .clone()
            .map(|creds| (creds.cert, creds.key)),
    }
}

fn client<T: Transport>(
    request: &ClientCompatRequest,
    channel: T,
) -> Result<ConformanceServiceClient<T>, Failure> {
    let encoding = match request.compression() {
        proto::Compression::Unspecified | proto::Compression::Identity => None,
        proto::Compression::Gzip => Some("gzip"),
        proto::Compression::Br => Some("br"),
        proto::Compression::Zstd => Some("zstd"),
        proto::Compression::Deflate => Some("deflate"),
        proto::Compression::Snappy => Some("snappy"),
    };
    let mut config = ClientConfig::new()
        .with_protocol(match request.protocol() {
            proto::Protocol::Connect => Protocol::Connect,
            proto::Protocol::Grpc => Protocol::Grpc,
            proto::Protocol::GrpcWeb => Protocol::GrpcWeb,
            proto::Protocol::Unspecified => return Err("no protocol".into()),
        })
        .with_codec(match request.codec() {
            proto::Codec::Proto => "proto",
            proto::Codec::Json => "json",
            other => return Err(format!("no codec {other:?}").into()),
        })
        .with_compressions(compression::only(encoding.unwrap_or_default())?)
        .with_min_compress_bytes(0);
    if let Some(encoding) = encoding {
        config = config.with_send_compression(encoding);
    }
    if request.message_receive_limit > 0 {
        let limit = usize::try_from(request.message_receive_limit)?;
        config = config.with_limits(Limits::default().with_recv_message_bytes(limit));
    }
    if request.use_get_http_method {
        config = config.with_get(GetPolicy::default());
    }
    Ok(ConformanceServiceClient::from_client(
        Client::new(channel)
            .with_config(config)
            .with_codecs(codecs()),
    ))
}
