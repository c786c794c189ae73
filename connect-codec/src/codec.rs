//! The codec of a call, by name: `proto`, `json`, or one that the application registers.

use std::{any::Any, fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use connect_proto::{Error, is_codec_name};
use serde_json::Value;

use crate::{budget::Budget, decode_error::DecodeError, json::JsonOptions};

/// The codec in which the messages of one call travel.
///
/// The name is the part of the content type that says how messages are written: `application/proto`,
/// `application/connect+json`, `application/grpc+proto`. The two built-in codecs are variants, so
/// encoding in them costs one branch: no virtual call and no allocation. Every other codec is a
/// [`CustomCodec`] behind a pointer.
///
/// A clone copies at most one reference count.
#[derive(Clone, Debug)]
pub enum Codec {
    /// `proto`: the binary wire format, with its options.
    Proto(ProtoOptions),
    /// `json`: canonical Protobuf JSON, with its options.
    Json(JsonOptions),
    /// A codec of another name, registered by the application.
    Custom(Arc<dyn CustomCodec>),
}

impl Codec {
    /// The name, as it stands in content types: `proto`, `json`, or the custom codec's own.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Proto(_) => "proto",
            Self::Json(_) => "json",
            Self::Custom(codec) => codec.name(),
        }
    }
}

/// `proto`.
impl Default for Codec {
    fn default() -> Self {
        Self::Proto(ProtoOptions::default())
    }
}

/// How messages are read from the binary wire format.
#[derive(Clone, Copy, Debug)]
pub struct ProtoOptions {
    decode_budget: usize,
}

impl ProtoOptions {
    /// How much memory one message may take once it is decoded, in bytes; 64 MiB by default. A message that would take
    /// more is refused with `resource_exhausted`, before it is decoded.
    ///
    /// The limit on the length of messages does not bound it: two bytes on the wire can be a whole message in a list.
    /// Charged is what lies in the message, its lists, maps, strings and bytes, by the sizes of their Rust types; what
    /// lists and maps reserve beyond that is not.
    ///
    /// It holds for messages that connect-codegen has generated. Of other prost messages the project knows no fields.
    ///
    /// ```
    /// use connect_codec::{Codec, Decode, Prost, ProtoOptions};
    /// use connect_proto::{Code, Side};
    ///
    /// let codec = Codec::Proto(ProtoOptions::default().with_decode_budget(1000));
    /// // 500 values that are nothing: a thousand bytes.
    /// let list = b"\x0a\0".repeat(500);
    /// let read = <Prost as Decode<prost_types::ListValue>>::decode(list.into(), &codec);
    /// let error = read.unwrap_err().into_error(Side::Server);
    /// assert_eq!(error.code(), Code::ResourceExhausted);
    /// ```
    #[must_use]
    pub const fn with_decode_budget(mut self, bytes: usize) -> Self {
        self.decode_budget = bytes;
        self
    }

    /// Set by [`with_decode_budget`](Self::with_decode_budget).
    #[must_use]
    pub const fn decode_budget(&self) -> usize {
        self.decode_budget
    }
}

impl Default for ProtoOptions {
    fn default() -> Self {
        Self {
            decode_budget: Budget::DEFAULT,
        }
    }
}

/// A codec of another name than `proto` and `json`, for messages of any type.
///
/// The codec sees a message as [`DynMessage`]: by its Protobuf binary form, by its JSON form, or,
/// if it knows the type, by a downcast. A serde format is three lines over the JSON form:
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use connect_codec::{
///     Codecs, CustomCodec, Decode, DecodeError, DynMessage, Encode, Prost, json::JsonOptions,
/// };
/// use connect_proto::Error;
///
/// /// JSON with line breaks, for people who read the wire.
/// #[derive(Debug, Default)]
/// struct Pretty(JsonOptions);
///
/// impl CustomCodec for Pretty {
///     fn name(&self) -> &str {
///         "pretty"
///     }
///     fn encode(&self, message: &dyn DynMessage, out: &mut BytesMut) -> Result<(), Error> {
///         let text = serde_json::to_vec_pretty(&message.to_value(&self.0)?);
///         out.extend_from_slice(&text.map_err(|e| Error::internal(e.to_string()))?);
///         Ok(())
///     }
///     fn decode(&self, bytes: Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError> {
///         let value = serde_json::from_slice(&bytes);
///         let value = value.map_err(|e| DecodeError::new(e.to_string()))?;
///         message.set_value(value, &self.0)
///     }
/// }
///
/// let codecs = Codecs::default().with(Pretty::default())?;
/// let codec = codecs.get("pretty").expect("just registered");
/// let mut out = BytesMut::new();
/// Prost::encode(&String::from("hi"), codec, &mut out)?;
/// let back: String = Prost::decode(out.freeze(), codec)?;
/// assert_eq!(back, "hi");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CustomCodec: fmt::Debug + Send + Sync + 'static {
    /// The name, as it stands in content types; [`Codecs::with`] says which names there can be. It must always be the
    /// same.
    fn name(&self) -> &str;

    /// Appends the message to `out`.
    ///
    /// # Errors
    /// By convention `internal`. What was appended before the error is discarded by the caller.
    fn encode(&self, message: &dyn DynMessage, out: &mut BytesMut) -> Result<(), Error>;

    /// Reads the whole of `bytes` into `message`, which holds defaults.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn decode(&self, bytes: Bytes, message: &mut dyn DynMessage) -> Result<(), DecodeError>;
}

/// A message of a type unknown to the codec.
pub trait DynMessage {
    /// The full name of the message type, `package.Message`.
    fn type_name(&self) -> &'static str;

    /// Appends the Protobuf binary form.
    ///
    /// # Errors
    /// `internal` if the message library cannot write the message.
    fn encode_proto(&self, out: &mut BytesMut) -> Result<(), Error>;

    /// Replaces the message by what `bytes` says in Protobuf binary form.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn decode_proto(&mut self, bytes: Bytes) -> Result<(), DecodeError>;

    /// The JSON form as a tree, for formats that serde writes.
    ///
    /// # Errors
    /// `internal` if the message has no JSON form: a timestamp out of range, an `Any` of unknown type.
    fn to_value(&self, options: &JsonOptions) -> Result<Value, Error>;

    /// Replaces the message by what a JSON tree says.
    ///
    /// # Errors
    /// Where the tree does not fit the message type.
    fn set_value(&mut self, value: Value, options: &JsonOptions) -> Result<(), DecodeError>;

    /// The message, to downcast it.
    fn as_any(&self) -> &dyn Any;

    /// The message, to downcast and change it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A name that no codec can have, as [`is_codec_name`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidCodecName {
    name: String,
}

impl fmt::Display for InvalidCodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cannot be the name of a codec: \"application/{}\" is no content type of its own",
            self.name, self.name
        )
    }
}

impl std::error::Error for InvalidCodecName {}

/// The codecs that one side knows, by name.
///
/// The default is `proto` and `json` with default options. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Codecs {
    known: Arc<[Codec]>,
}

impl Codecs {
    /// No codec at all, to build up from nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            known: Arc::new([]),
        }
    }

    /// Adds a custom codec, or replaces the codec that has its name, compared without regard to ASCII case.
    ///
    /// # Errors
    ///
    /// When no content type can carry its name, or one that means something else: see [`is_codec_name`].
    pub fn with(self, codec: impl CustomCodec) -> Result<Self, InvalidCodecName> {
        self.with_codec(Codec::Custom(Arc::new(codec)))
    }

    /// Adds a codec, or replaces the one that has its name, compared without regard to ASCII case.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with).
    pub fn with_codec(self, codec: Codec) -> Result<Self, InvalidCodecName> {
        if !is_codec_name(codec.name()) {
            let name = codec.name().to_owned();
            return Err(InvalidCodecName { name });
        }
        Ok(self.insert(codec))
    }

    /// Adds `json` with these options, or replaces its options.
    #[must_use]
    pub fn with_json(self, options: JsonOptions) -> Self {
        self.insert(Codec::Json(options))
    }

    /// Adds `proto` with these options, or replaces its options.
    #[must_use]
    pub fn with_proto(self, options: ProtoOptions) -> Self {
        self.insert(Codec::Proto(options))
    }

    /// How much memory one message may take once it is decoded, in bytes, in the built-in codecs that are known;
    /// 64 MiB by default. See [`ProtoOptions::with_decode_budget`].
    #[must_use]
    pub fn with_decode_budget(self, bytes: usize) -> Self {
        let with_budget = |codec: &Codec| match codec {
            Codec::Proto(options) => Codec::Proto(options.with_decode_budget(bytes)),
            Codec::Json(options) => Codec::Json(options.clone().with_decode_budget(bytes)),
            Codec::Custom(codec) => Codec::Custom(Arc::clone(codec)),
        };
        Self {
            known: self.known.iter().map(with_budget).collect(),
        }
    }

    /// Forgets the codec of this name; a call in it is answered with HTTP 415.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let known = self
            .known
            .iter()
            .filter(|codec| !codec.name().eq_ignore_ascii_case(name));
        Self {
            known: known.cloned().collect(),
        }
    }

    /// The codec of this name, which is compared without regard to ASCII case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Codec> {
        self.known
            .iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// All codecs, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Codec> {
        self.known.iter()
    }

    /// All names, in the order in which the codecs were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(Codec::name)
    }

    /// The codec's name is valid.
    fn insert(self, codec: Codec) -> Self {
        let mut known = self.known.to_vec();
        let same_name = |old: &&mut Codec| old.name().eq_ignore_ascii_case(codec.name());
        match known.iter_mut().find(same_name) {
            Some(old) => *old = codec,
            None => known.push(codec),
        }
        Self {
            known: known.into(),
        }
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self {
            known: Arc::new([Codec::default(), Codec::Json(JsonOptions::default())]),
        }
    }
}
