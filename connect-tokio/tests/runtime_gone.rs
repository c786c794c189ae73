//! Calls whose tokio goes away.

use connect_tokio::{
    CallBody, Channel, Code, HttpVersion, Transport,
    transport::{Sent, TransportError},
};

async fn fail(channel: &Channel) -> TransportError {
    let call = channel.send(http::Request::new(CallBody::full("x")));
    call.await.map(|answer| answer.status()).unwrap_err()
}

/// The task of a connection can be lost under a call.
#[test]
fn a_runtime_that_goes_away_under_a_call_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let channel = Channel::new(&uri).unwrap();
        let mut calling = Box::pin(fail(&channel));
        runtime.block_on(async {
            let accepting = tokio::task::spawn_blocking({
                let listener = listener.try_clone().unwrap();
                move || {
                    let (mut socket, _) = listener.accept().unwrap();
                    std::io::Read::read_exact(&mut socket, &mut [0; 16]).unwrap();
                    socket
                }
            });
            tokio::select! {
                error = &mut calling => panic!("{error}"),
                socket = accepting => socket.unwrap(),
            }
        });
        drop(runtime);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(error) = calling.as_mut().poll(&mut cx) else {
            panic!("there is nobody to wait for");
        };
        assert_eq!(error.error().code(), Code::Unavailable, "{error}");
        assert_eq!(error.sent(), Sent::Maybe);
    }
}

/// A runtime that is shutting down drops new tasks.
#[test]
fn a_runtime_that_is_gone_is_an_error_and_no_loop() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let channel = Channel::builder("http://127.0.0.1:9")
        .with_http_version(HttpVersion::Http2)
        .build()
        .unwrap();
    let mut calling = Box::pin(fail(&channel));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(error) = calling.as_mut().poll(&mut cx) else {
        panic!("there is nobody to wait for");
    };
    assert!(error.to_string().contains("shutting down"), "{error}");
}
