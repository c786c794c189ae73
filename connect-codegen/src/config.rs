//! What to generate, and how: the same for `build.rs`, a plugin and tests.

use std::path::PathBuf;

/// What to generate, and how.
///
/// In a `build.rs`:
///
/// ```no_run
/// fn main() -> Result<(), connect_codegen::Error> {
///     connect_codegen::Config::new().compile(&["proto/eliza.proto"], &["proto"])
/// }
/// ```
///
/// Paths of types and fields are Protobuf's, with a leading dot: `.pkg.Message`, `.pkg.Message.field`;
/// a path stands for everything below it, `.` for everything.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) json: bool,
    pub(crate) server: bool,
    pub(crate) client: bool,
    pub(crate) default_methods: bool,
    pub(crate) crate_path: Option<String>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) descriptor_set: Option<PathBuf>,
    pub(crate) include_file: String,
    pub(crate) extern_paths: Vec<(String, String)>,
    pub(crate) btree_maps: Vec<String>,
    pub(crate) bytes: Vec<String>,
    pub(crate) boxed: Vec<String>,
    pub(crate) type_attributes: Vec<(String, String)>,
    pub(crate) field_attributes: Vec<(String, String)>,
    pub(crate) well_known_json: bool,
}

impl Config {
    /// Everything at its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether messages get canonical JSON and `serde` implementations; `true` unless told.
    ///
    /// Without it, services offer the `proto` codec only.
    #[must_use]
    pub fn json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Whether services get a trait and a server; `true` unless told.
    #[must_use]
    pub fn server(mut self, server: bool) -> Self {
        self.server = server;
        self
    }

    /// Whether services get a client; `true` unless told.
    #[must_use]
    pub fn client(mut self, client: bool) -> Self {
        self.client = client;
        self
    }

    /// Whether the methods of service traits have a default that answers `unimplemented`; `false`
    /// unless told, so that the compiler finds a forgotten method.
    #[must_use]
    pub fn default_methods(mut self, default_methods: bool) -> Self {
        self.default_methods = default_methods;
        self
    }

    /// The crate that generated code names, for code that is checked in: `::connect_tower`, an
    /// adapter such as `::connect_tokio`, or `::connect_codec` for messages alone.
    ///
    /// Unless told, the code has no such path and must be included by the macros
    /// `include_proto!` or `include_protos!` of one of these crates, which supply it.
    #[must_use]
    pub fn crate_path(mut self, path: impl Into<String>) -> Self {
        self.crate_path = Some(path.into());
        self
    }

    /// The directory to write to, for code that is checked in; Cargo's `OUT_DIR` unless told.
    #[must_use]
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Also writes the compiled files as a `google.protobuf.FileDescriptorSet`, for reflection.
    #[must_use]
    pub fn descriptor_set(mut self, file: impl Into<PathBuf>) -> Self {
        self.descriptor_set = Some(file.into());
        self
    }

    /// The name of the file that includes all packages as a tree of modules; `_protos.rs` unless told.
    #[must_use]
    pub fn include_file(mut self, name: impl Into<String>) -> Self {
        self.include_file = name.into();
        self
    }

    /// Says that a package or a type exists in Rust already, under this path: it is not generated.
    ///
    /// The types must be prost messages; with [`json`](Self::json) on, they must have been generated
    /// by this crate.
    #[must_use]
    pub fn extern_path(mut self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        self.extern_paths.push((proto.into(), rust.into()));
        self
    }

    /// Makes map fields `BTreeMap` instead of `HashMap`: their entries are then written in the order
    /// of keys, so equal messages are written alike.
    #[must_use]
    pub fn btree_map(mut self, path: impl Into<String>) -> Self {
        self.btree_maps.push(path.into());
        self
    }

    /// Which `bytes` fields are `Bytes`, which shares the memory of the input; all (`.`) unless told.
    /// The others are `Vec<u8>`.
    #[must_use]
    pub fn bytes<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.bytes = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Boxes a message field. Recursive ones are boxed anyway.
    #[must_use]
    pub fn boxed(mut self, path: impl Into<String>) -> Self {
        self.boxed.push(path.into());
        self
    }

    /// Adds an attribute to messages, enums and oneofs: `#[derive(my::Derive)]`.
    #[must_use]
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.type_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Adds an attribute to fields, enum values and members of oneofs.
    #[must_use]
    pub fn field_attribute(
        mut self,
        path: impl Into<String>,
        attribute: impl Into<String>,
    ) -> Self {
        self.field_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Generates nothing but the JSON of `google.protobuf` types, for connect-codec itself.
    #[doc(hidden)]
    #[must_use]
    pub fn json_of_well_known_types(mut self) -> Self {
        self.well_known_json = true;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            json: true,
            server: true,
            client: true,
            default_methods: false,
            crate_path: None,
            out_dir: None,
            descriptor_set: None,
            include_file: String::from("_protos.rs"),
            extern_paths: Vec::new(),
            btree_maps: Vec::new(),
            bytes: vec![String::from(".")],
            boxed: Vec::new(),
            type_attributes: Vec::new(),
            field_attributes: Vec::new(),
            well_known_json: false,
        }
    }
}
