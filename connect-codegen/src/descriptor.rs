//! As much of `google/protobuf/descriptor.proto` as is read here.
//!
//! The messages are our own, as those of prost-types know no editions.

use std::sync::Arc;

use prost::{Message as _, bytes::Bytes};

use crate::{Error, error::Place};

/// A `FileDescriptorSet`, its files as they came: so custom options stay in them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) file: Vec<Bytes>,
}

impl FileSet {
    /// Reads an encoded `FileDescriptorSet`.
    pub(crate) fn files(encoded: &[u8]) -> Result<Vec<FileDescriptor>, Error> {
        let set = Self::decode(encoded)
            .map_err(|error| Error::new(format!("no FileDescriptorSet: {error}")))?;
        set.file.into_iter().map(FileDescriptor::new).collect()
    }
}

/// A file, and the bytes that it was read from.
pub(crate) struct FileDescriptor {
    pub(crate) encoded: Bytes,
    pub(crate) file: FileDescriptorProto,
}

impl FileDescriptor {
    pub(crate) fn new(encoded: Bytes) -> Result<Self, Error> {
        let file = FileDescriptorProto::decode(encoded.clone())
            .map_err(|error| Error::new(format!("no FileDescriptorProto: {error}")))?;
        Ok(Self { encoded, file })
    }

    /// Where the file says what the path leads to: numbers of fields and indexes, as
    /// `SourceCodeInfo` has them.
    pub(crate) fn place(&self, path: &[i32]) -> Place {
        let locations = self.file.source_code_info.iter().flat_map(|i| &i.location);
        let mut found = locations.filter(|location| location.path == path);
        Place {
            file: Arc::from(self.file.name()),
            position: found.next().and_then(Location::position),
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) package: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) message_type: Vec<DescriptorProto>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enum_type: Vec<EnumDescriptorProto>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) service: Vec<ServiceDescriptorProto>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extension: Vec<FieldDescriptorProto>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FileOptions>,
    #[prost(message, optional, tag = "9")]
    pub(crate) source_code_info: Option<SourceCodeInfo>,
    #[prost(string, optional, tag = "12")]
    pub(crate) syntax: Option<String>,
    #[prost(int32, optional, tag = "14")]
    pub(crate) edition: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileOptions {
    #[prost(bytes = "bytes", optional, tag = "50")]
    pub(crate) features: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) field: Vec<FieldDescriptorProto>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nested_type: Vec<Self>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) enum_type: Vec<EnumDescriptorProto>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) extension: Vec<FieldDescriptorProto>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<OneofDescriptorProto>,
}

impl DescriptorProto {
    /// Whether this stands for the entries of a map field, and is no message of the file.
    pub(crate) fn is_map_entry(&self) -> bool {
        self.options.as_ref().is_some_and(|o| o.map_entry())
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageOptions {
    #[prost(bool, optional, tag = "1")]
    pub(crate) message_set_wire_format: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) map_entry: Option<bool>,
    #[prost(bool, optional, tag = "11")]
    pub(crate) deprecated_legacy_json_field_conflicts: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(crate) features: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FieldDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    /// The message that an extension is of.
    #[prost(string, optional, tag = "2")]
    pub(crate) extendee: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) number: Option<i32>,
    #[prost(enumeration = "Label", optional, tag = "4")]
    pub(crate) label: Option<i32>,
    /// One of [`kind`], or a scalar's.
    #[prost(int32, optional, tag = "5")]
    pub(crate) r#type: Option<i32>,
    #[prost(string, optional, tag = "6")]
    pub(crate) type_name: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) default_value: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) oneof_index: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(crate) json_name: Option<String>,
    #[prost(bool, optional, tag = "17")]
    pub(crate) proto3_optional: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) packed: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) deprecated: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "21")]
    pub(crate) features: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Label {
    Optional = 1,
    Required = 2,
    Repeated = 3,
}

/// Those of `FieldDescriptorProto.Type` that stand for no number, `bool` or `string`.
pub(crate) mod kind {
    pub(crate) const GROUP: i32 = 10;
    pub(crate) const MESSAGE: i32 = 11;
    pub(crate) const BYTES: i32 = 12;
    pub(crate) const ENUM: i32 = 14;
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OneofDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<OneofOptions>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OneofOptions {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) features: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnumDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) value: Vec<EnumValueDescriptorProto>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumOptions>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnumOptions {
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(crate) features: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EnumValueDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) number: Option<i32>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumValueOptions>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct EnumValueOptions {
    #[prost(bool, optional, tag = "1")]
    pub(crate) deprecated: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServiceDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) method: Vec<MethodDescriptorProto>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<ServiceOptions>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ServiceOptions {
    #[prost(bool, optional, tag = "33")]
    pub(crate) deprecated: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MethodDescriptorProto {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) input_type: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) output_type: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<MethodOptions>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) client_streaming: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) server_streaming: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct MethodOptions {
    #[prost(bool, optional, tag = "33")]
    pub(crate) deprecated: Option<bool>,
    #[prost(int32, optional, tag = "34")]
    pub(crate) idempotency_level: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SourceCodeInfo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) location: Vec<Location>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Location {
    #[prost(int32, repeated, tag = "1")]
    pub(crate) path: Vec<i32>,
    #[prost(int32, repeated, tag = "2")]
    pub(crate) span: Vec<i32>,
    #[prost(string, optional, tag = "3")]
    pub(crate) leading_comments: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) trailing_comments: Option<String>,
}

impl Location {
    /// Line and column, from 1.
    pub(crate) fn position(&self) -> Option<(i32, i32)> {
        match self.span.as_slice() {
            [line, column, ..] => Some((line + 1, column + 1)),
            _ => None,
        }
    }
}
