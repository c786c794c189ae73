//! What generated code says of a view: one line per field.

/// How a view is read: its fields, one by line.
#[doc(hidden)]
#[macro_export]
macro_rules! __view_message {
    ($message:ty = $view:ident<$a:lifetime>;
        $(
            $rust:ident
            $( : $label:ident $(<$key:ident>)? ( $number:literal, $kind:ident $(($of:ty))? ))?
            $( = $oneof:ty { $(
                $variant:ident ( $mnumber:literal, $mkind:ident $(($mof:ty))? ),
            )* })?
        ,)*
    ) => {
        impl $crate::__codegen::view::Viewed for $message {
            type View<$a> = $view<$a>;
        }

        #[allow(deprecated, unused_qualifications)]
        impl<$a> $crate::__codegen::view::MessageView<$a> for $view<$a> {
            type Message = $message;

            #[inline]
            fn read_field(
                &mut self,
                tag: $crate::__codegen::view::Tag,
                input: &mut $crate::__codegen::view::Input<$a, '_>,
            ) -> ::core::result::Result<(), $crate::__codegen::view::Stop> {
                match tag.number() {
                    $(
                        $($number => $crate::__codegen::view::$label::read::<
                            $($crate::__codegen::view::$key,)?
                            $crate::__codegen::view::$kind $(<$of>)?
                        >(&mut self.$rust, tag, input),)?
                        $($($mnumber => {
                            type Members<$a> = $oneof;
                            match &mut self.$rust {
                                ::core::option::Option::Some(Members::$variant(value)) => {
                                    $crate::__codegen::view::Required::read::<
                                        $crate::__codegen::view::$mkind $(<$mof>)?
                                    >(value, tag, input)
                                }
                                other => {
                                    let mut value = ::core::default::Default::default();
                                    $crate::__codegen::view::Required::read::<
                                        $crate::__codegen::view::$mkind $(<$mof>)?
                                    >(&mut value, tag, input)?;
                                    *other = ::core::option::Option::Some(Members::$variant(value));
                                    ::core::result::Result::Ok(())
                                }
                            }
                        })*)?
                    )*
                    _ => input.skip(tag),
                }
            }
        }
    };
}
