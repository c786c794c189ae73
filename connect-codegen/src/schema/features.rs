//! Features: what each edition of the language says of fields and enums, and what a file, a message, a
//! oneof or a field says otherwise. proto2 and proto3 are editions like any other.
//!
//! Specification: <https://protobuf.dev/editions/features/>.

use prost::{Message as _, bytes::Bytes};

use crate::{
    Error,
    descriptor::{FieldDescriptorProto, FileDescriptor, Label, kind},
};

/// `google.protobuf.FeatureSet`. A resolved one has a value in each field.
///
/// What prost cannot keep is not read: strings are always UTF-8. JSON is generated whatever `json_format`
/// says: it decides which names may be equal.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Features {
    #[prost(enumeration = "Presence", tag = "1")]
    pub(crate) field_presence: i32,
    #[prost(enumeration = "EnumType", tag = "2")]
    pub(crate) enum_type: i32,
    #[prost(enumeration = "RepeatedEncoding", tag = "3")]
    pub(crate) repeated_field_encoding: i32,
    #[prost(enumeration = "MessageEncoding", tag = "5")]
    pub(crate) message_encoding: i32,
    #[prost(enumeration = "JsonFormat", tag = "6")]
    pub(crate) json_format: i32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Presence {
    Explicit = 1,
    Implicit = 2,
    LegacyRequired = 3,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum EnumType {
    Open = 1,
    Closed = 2,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum RepeatedEncoding {
    Packed = 1,
    Expanded = 2,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum MessageEncoding {
    LengthPrefixed = 1,
    Delimited = 2,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum JsonFormat {
    Allow = 1,
    LegacyBestEffort = 2,
}

/// `Edition.EDITION_PROTO2`, the first one.
pub(crate) const EDITION_PROTO2: i32 = 998;
/// `Edition.EDITION_2023`, the first one with a number in its files.
const EDITION_2023: i32 = 1000;
/// `Edition.EDITION_2024`, the last one that is known here.
pub(crate) const EDITION_2024: i32 = 1001;

impl Features {
    /// What a file says of all that is in it.
    ///
    /// # Errors
    /// If it is of an edition that is not known here.
    pub(crate) fn of_file(file: &FileDescriptor) -> Result<Self, Error> {
        let own = file.file.options.as_ref().and_then(|o| o.features.as_ref());
        Ok(Self::of_edition(file)?.with(own))
    }

    /// What its edition says.
    ///
    /// # Errors
    /// If it is not known here.
    pub(super) fn of_edition(file: &FileDescriptor) -> Result<Self, Error> {
        Ok(match (file.file.syntax(), file.file.edition) {
            ("" | "proto2", _) => Self::PROTO2,
            ("proto3", _) => Self::PROTO3,
            ("editions", Some(EDITION_2023..=EDITION_2024)) => Self::EDITION_2023,
            (syntax, edition) => {
                let name = edition.map_or_else(|| syntax.to_owned(), |e| format!("edition {e}"));
                let text = format!("{name} is not known: there are proto2, proto3, 2023 and 2024");
                return Err(Error::at(file.place(&[SYNTAX]), text)
                    .with_help("a later version of connect-codegen may know it"));
            }
        })
    }

    /// These, but for what an element of the file says itself.
    ///
    /// Features are inherited as Protobuf merges messages.
    pub(crate) fn with(mut self, own: Option<&Bytes>) -> Self {
        if let Some(own) = own {
            // What is cut off says nothing; later versions have values that are not known here.
            let _ = self.merge(own.clone());
        }
        self
    }

    /// Those of a field, not of an enum; zero is none.
    #[cfg(feature = "command")]
    pub(super) fn values(self) -> [i32; 3] {
        let Self {
            field_presence,
            repeated_field_encoding,
            message_encoding,
            enum_type: _,
            json_format: _,
        } = self;
        [field_presence, repeated_field_encoding, message_encoding]
    }

    /// The features of a field of a message or oneof with these features, in proto2 and proto3 by the
    /// words that came before features.
    pub(crate) fn of_field(self, field: &FieldDescriptorProto) -> Self {
        let options = field.options.as_ref();
        let mut out = self.with(options.and_then(|options| options.features.as_ref()));
        if field.label() == Label::Required {
            out.field_presence = Presence::LegacyRequired.into();
        }
        if field.proto3_optional() {
            out.field_presence = Presence::Explicit.into();
        }
        if field.r#type() == kind::GROUP {
            out.message_encoding = MessageEncoding::Delimited.into();
        }
        if let Some(packed) = options.and_then(|options| options.packed) {
            let encoding = if packed {
                RepeatedEncoding::Packed
            } else {
                RepeatedEncoding::Expanded
            };
            out.repeated_field_encoding = encoding.into();
        }
        out
    }

    /// What says nothing.
    #[cfg(feature = "command")]
    pub(super) const NONE: Self = Self {
        field_presence: 0,
        enum_type: 0,
        repeated_field_encoding: 0,
        message_encoding: 0,
        json_format: 0,
    };

    const PROTO2: Self = Self {
        field_presence: Presence::Explicit as i32,
        enum_type: EnumType::Closed as i32,
        repeated_field_encoding: RepeatedEncoding::Expanded as i32,
        message_encoding: MessageEncoding::LengthPrefixed as i32,
        json_format: JsonFormat::LegacyBestEffort as i32,
    };

    const PROTO3: Self = Self {
        field_presence: Presence::Implicit as i32,
        enum_type: EnumType::Open as i32,
        repeated_field_encoding: RepeatedEncoding::Packed as i32,
        message_encoding: MessageEncoding::LengthPrefixed as i32,
        json_format: JsonFormat::Allow as i32,
    };

    /// 2024 has the same.
    const EDITION_2023: Self = Self {
        field_presence: Presence::Explicit as i32,
        ..Self::PROTO3
    };
}

/// The field of `FileDescriptorProto`; that of a statement `edition` too, by protoc 33.
const SYNTAX: i32 = 12;
