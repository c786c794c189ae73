//! The names of a message, as prost asks for them.

/// The names of a generated message: with its package, the package, and alone.
#[doc(hidden)]
#[macro_export]
macro_rules! __name {
    ($message:ty = $full_name:literal, $package:literal, $name:literal) => {
        impl $crate::prost::Name for $message {
            const NAME: &'static str = $name;
            const PACKAGE: &'static str = $package;

            fn full_name() -> $crate::__codegen::prost::alloc::string::String {
                $crate::__codegen::owned($full_name)
            }

            fn type_url() -> $crate::__codegen::prost::alloc::string::String {
                $crate::__codegen::owned(::core::concat!("type.googleapis.com/", $full_name))
            }
        }
    };
}

/// The text as a `String`.
#[must_use]
pub fn owned(text: &str) -> String {
    text.to_owned()
}
