//! What the generated clients of all services have in common.

/// The client of a service, without its calls: for generated code alone.
#[doc(hidden)]
#[macro_export]
macro_rules! __client {
    ($client:ident, $service:literal) => {
        #[doc = ::core::concat!("Calls `", $service, "` over a transport.")]
        #[allow(dead_code, unnameable_types, unreachable_pub)]
        #[derive(Clone)]
        pub struct $client<T> {
            client: $crate::__codegen::Client<T>,
        }

        impl<T> ::core::fmt::Debug for $client<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!($client))
                    .finish_non_exhaustive()
            }
        }

        #[allow(dead_code, unreachable_pub)]
        impl<T: $crate::__codegen::Transport> $client<T> {
            /// A client with default settings: the Connect protocol and the codec `proto`.
            #[must_use]
            pub fn new(transport: T) -> Self {
                Self::from_client($crate::__codegen::Client::new(transport))
            }

            /// A client with the settings, codecs, interceptors and observers of another, which any number of
            /// services can share.
            #[must_use]
            pub fn from_client(client: $crate::__codegen::Client<T>) -> Self {
                Self { client }
            }

            /// Sets protocol, codec, compression, limits and the rest.
            #[must_use]
            pub fn with_config(self, config: $crate::__codegen::ClientConfig) -> Self {
                Self::from_client(self.client.with_config(config))
            }

            /// Sets the codecs that the configured name may stand for.
            #[must_use]
            pub fn with_codecs(self, codecs: $crate::__codegen::Codecs) -> Self {
                Self::from_client(self.client.with_codecs(codecs))
            }

            /// Sets the timer that deadlines are kept with: the transport's by default.
            #[must_use]
            pub fn with_timer(self, timer: $crate::__codegen::SharedTimer) -> Self {
                Self::from_client(self.client.with_timer(timer))
            }

            /// Whether calls end no later than the one that is being served where they begin. Default: not.
            #[must_use]
            pub fn with_deadline_propagation(self, propagate: bool) -> Self {
                Self::from_client(self.client.with_deadline_propagation(propagate))
            }

            /// Sets how often a request is sent again that the server did not begin.
            #[must_use]
            pub fn with_resends(self, resends: $crate::__codegen::Resends) -> Self {
                Self::from_client(self.client.with_resends(resends))
            }

            /// Sets how many bytes of a stream of requests are kept to be sent again. Default: 64 KiB.
            #[must_use]
            pub fn with_max_replay_bytes(self, bytes: usize) -> Self {
                Self::from_client(self.client.with_max_replay_bytes(bytes))
            }

            /// Sets, by procedure, service or for all calls, what is retried or hedged, what waits for a connection,
            /// and timeouts. Default: nothing.
            #[must_use]
            pub fn with_service_config(self, config: $crate::__codegen::ServiceConfig) -> Self {
                Self::from_client(self.client.with_service_config(config))
            }

            /// Retries calls by this policy. Default: not.
            #[must_use]
            pub fn with_retry(self, policy: $crate::__codegen::RetryPolicy) -> Self {
                Self::from_client(self.client.with_retry(policy))
            }

            /// Adds an interceptor, inside of those that are there.
            #[must_use]
            pub fn add_interceptor(self, interceptor: impl $crate::__codegen::Interceptor) -> Self
            where
                T: $crate::__codegen::Transport<
                        Body: ::core::marker::Send + 'static,
                        Future: ::core::marker::Send,
                    > + ::core::marker::Send
                    + ::core::marker::Sync
                    + 'static,
            {
                Self::from_client(self.client.add_interceptor(interceptor))
            }

            /// Adds an observer, inside of those that are there, and outside of interceptors.
            #[must_use]
            pub fn add_observer(self, observer: impl $crate::__codegen::Observer) -> Self {
                Self::from_client(self.client.add_observer(observer))
            }
        }
    };
}
