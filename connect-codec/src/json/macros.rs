//! What generated code says of a message: one line per field.

/// The JSON of a message of the crate itself: its fields, and serde's traits.
#[doc(hidden)]
#[macro_export]
macro_rules! __json_message {
    ($message:ty = $($rest:tt)*) => {
        $crate::__json_fields!($message = $($rest)*);
        $crate::__json_serde!($message);
    };
}

/// The JSON of a message of any crate: its fields, one by line.
#[doc(hidden)]
#[macro_export]
macro_rules! __json_fields {
    ($message:ty = $name:literal $(+ $unknown:ident)?;
        $(
            $rust:ident
            $( : $label:ident $(<$key:ident>)? (
                $number:literal, $proto:literal, $json:literal, $kind:ident $(($of:ty))?
            ))?
            $( = $oneof:ty { $(
                $variant:ident (
                    $mnumber:literal, $mproto:literal, $mjson:literal, $mkind:ident $(($mof:ty))?
                ),
            )* })?
        ,)*
    ) => {
        #[allow(deprecated, unused_qualifications)]
        impl $crate::__codegen::json::Fields for $message {
            fn table(&self) -> &'static $crate::__codegen::json::Table {
                <Self as $crate::json::JsonMessage>::table()
            }

            #[allow(unused_variables)]
            fn write_fields(&self, out: &mut dyn $crate::__codegen::json::Sink) {
                $(
                    $($crate::__codegen::json::$label::write(&self.$rust, $number, out);)?
                    $({
                        type Members = $oneof;
                        match &self.$rust {
                            $(::core::option::Option::Some(Members::$variant(value)) => {
                                $crate::__codegen::json::Required::write(value, $mnumber, out)
                            })*
                            ::core::option::Option::None => {}
                        }
                    })?
                )*
            }

            #[allow(unused_variables)]
            fn read_field(
                &mut self,
                number: u32,
                input: &mut dyn $crate::__codegen::json::Input,
            ) -> ::core::result::Result<(), $crate::__codegen::json::Stop> {
                match number {
                    $(
                        $($number => $crate::__codegen::json::$label::read(&mut self.$rust, input),)?
                        $($($mnumber => {
                            $crate::__codegen::json::Member::read(&mut self.$rust, <$oneof>::$variant, input)
                        })*)?
                    )*
                    _ => ::core::result::Result::Ok(()),
                }
            }
        }

        #[allow(unused_qualifications)]
        impl $crate::json::JsonMessage for $message {
            const FULL_NAME: &'static str = $name;

            fn table() -> &'static $crate::__codegen::json::Table {
                static TABLE: $crate::__codegen::json::Table =
                    $crate::__codegen::json::Table::new::<$message>($name, &[$(
                        $($crate::__codegen::json::Field {
                            number: $number,
                            proto: $proto,
                            json: $json,
                            label: $crate::__codegen::json::Label::$label
                                $(($crate::__codegen::json::Key::$key))?,
                            kind: $crate::__codegen::json::Kind::$kind
                                $((<$of as $crate::__codegen::json::Described>::DESCRIPTION))?,
                        },)?
                        $($($crate::__codegen::json::Field {
                            number: $mnumber,
                            proto: $mproto,
                            json: $mjson,
                            label: $crate::__codegen::json::Label::Optional,
                            kind: $crate::__codegen::json::Kind::$mkind
                                $((<$mof as $crate::__codegen::json::Described>::DESCRIPTION))?,
                        },)*)?
                    )*])$(.$unknown())?;
                &TABLE
            }
        }
    };
}

/// Serde's traits for a message of the crate itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __json_serde {
    ($message:ty) => {
        impl $crate::__codegen::serde::Serialize for $message {
            fn serialize<S: $crate::__codegen::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::__codegen::json::serialize(self, serializer)
            }
        }

        impl<'de> $crate::__codegen::serde::Deserialize<'de> for $message {
            fn deserialize<D: $crate::__codegen::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::__codegen::json::deserialize(deserializer)
            }
        }
    };
}

/// The names of an enum's values: those that prost knows, and others.
#[doc(hidden)]
#[macro_export]
macro_rules! __json_enum {
    ($enum:ty = $name:literal; $($other:literal = $number:literal,)*) => {
        // Two names may have one number.
        #[allow(unreachable_patterns, unused_qualifications)]
        impl $crate::__codegen::json::Described for $enum {
            type Description = &'static $crate::__codegen::json::EnumTable;
            const DESCRIPTION: Self::Description =
                &$crate::__codegen::json::EnumTable {
                    name: $name,
                    name_of: |number| {
                        let value = <$enum as ::core::convert::TryFrom<i32>>::try_from(number);
                        match (value, number) {
                            (::core::result::Result::Ok(value), _) => {
                                ::core::option::Option::Some(value.as_str_name())
                            }
                            $((_, $number) => ::core::option::Option::Some($other),)*
                            _ => ::core::option::Option::None,
                        }
                    },
                    number_of: |name| match name {
                        $($other => ::core::option::Option::Some($number),)*
                        _ => <$enum>::from_str_name(name).map(|value| value as i32),
                    },
                };
        }
    };
}
