//! What the generated servers of all services have in common.

/// The server of a service, without its procedures: for generated code alone.
#[doc(hidden)]
#[macro_export]
macro_rules! __server {
    ($server:ident, $implementation:ident, $service:literal) => {
        #[doc = ::core::concat!(
            "Serves `", $service, "` by an implementation of [`", ::core::stringify!($implementation), "`]."
        )]
        #[allow(dead_code, unnameable_types, unreachable_pub)]
        pub struct $server<T> {
            inner: ::std::sync::Arc<T>,
        }

        #[allow(dead_code, unreachable_pub)]
        impl<T> $server<T> {
            /// Serves the calls with this implementation.
            #[must_use]
            pub fn new(service: T) -> Self {
                Self::from_arc(::std::sync::Arc::new(service))
            }

            /// Serves the calls with an implementation that is shared with others.
            #[must_use]
            pub fn from_arc(service: ::std::sync::Arc<T>) -> Self {
                Self { inner: service }
            }
        }

        impl<T> ::core::clone::Clone for $server<T> {
            fn clone(&self) -> Self {
                Self::from_arc(::std::sync::Arc::clone(&self.inner))
            }
        }

        impl<T> ::core::fmt::Debug for $server<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!($server))
                    .finish_non_exhaustive()
            }
        }
    };
}
