//! What to generate, and how: the same for `build.rs`, the plugin and tests.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::Error;

/// How the code of many packages becomes one tree of modules.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Layout {
    /// A file for each package, `shapes.v1.rs`, and one that includes them all. The default.
    #[default]
    Include,
    /// Modules as they are written by hand: `mod.rs`, `shapes/mod.rs`, `shapes/v1/mod.rs`. For code
    /// that is checked in.
    ///
    /// `#[rustfmt::skip]` on the outermost `mod` keeps `cargo fmt` from all of them.
    Modules,
}

/// How far reading or generating is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How many files it has been done with.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// What a [`Progress`] is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// `.proto` files are read, those that are asked for.
    Read,
    /// `.proto` files become Rust, but for those that are imported alone.
    Generated,
}

/// What is told of progress.
#[derive(Clone)]
pub(crate) struct Report(Arc<dyn Fn(Progress) + Send + Sync>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}

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
    pub(crate) messages: bool,
    pub(crate) json: bool,
    pub(crate) server: bool,
    pub(crate) client: bool,
    pub(crate) server_feature: Option<String>,
    pub(crate) client_feature: Option<String>,
    pub(crate) default_methods: bool,
    pub(crate) crate_path: Option<String>,
    pub(crate) out_dir: Option<PathBuf>,
    #[cfg(feature = "compile")]
    pub(crate) compiler: Option<PathBuf>,
    /// Whether the code is not for `OUT_DIR`.
    pub(crate) checked_in: bool,
    pub(crate) descriptor_set: bool,
    pub(crate) layout: Layout,
    pub(crate) include_file: String,
    pub(crate) extern_paths: Vec<(String, String)>,
    pub(crate) hash_maps: Vec<String>,
    pub(crate) bytes: Vec<String>,
    pub(crate) boxed: Vec<String>,
    pub(crate) views: Vec<String>,
    pub(crate) unknown_fields: Vec<String>,
    pub(crate) type_attributes: Vec<(String, String)>,
    pub(crate) field_attributes: Vec<(String, String)>,
    pub(crate) well_known_json: bool,
    pub(crate) progress: Report,
}

impl Config {
    /// Everything at its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether messages and enums are generated; `true` by default.
    ///
    /// Without them there are services only, over messages that exist: each that a service names
    /// needs an [`add_extern_path`](Self::add_extern_path).
    #[must_use]
    pub fn with_messages(mut self, messages: bool) -> Self {
        self.messages = messages;
        self
    }

    /// Whether messages get canonical JSON and `serde` implementations; `true` by default.
    ///
    /// Without it, services offer the `proto` codec only.
    #[must_use]
    pub fn with_json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Whether services get a trait and a server; `true` by default.
    #[must_use]
    pub fn with_server(mut self, server: bool) -> Self {
        self.server = server;
        self
    }

    /// Whether services get a client; `true` by default.
    #[must_use]
    pub fn with_client(mut self, client: bool) -> Self {
        self.client = client;
        self
    }

    /// Puts traits and servers behind a feature of the crate that the code is in:
    /// `#[cfg(feature = "server")]`.
    #[must_use]
    pub fn with_server_feature(mut self, feature: impl Into<String>) -> Self {
        self.server_feature = Some(feature.into());
        self
    }

    /// Puts clients behind a feature of the crate that the code is in: `#[cfg(feature = "client")]`.
    #[must_use]
    pub fn with_client_feature(mut self, feature: impl Into<String>) -> Self {
        self.client_feature = Some(feature.into());
        self
    }

    /// Whether the methods of service traits have a default that answers `unimplemented`; `false`
    /// by default, so that the compiler finds a forgotten method.
    #[must_use]
    pub fn with_default_methods(mut self, default_methods: bool) -> Self {
        self.default_methods = default_methods;
        self
    }

    /// The crate that generated code names, for code that is checked in: `::connect_tower`, an
    /// adapter such as `::connect_tokio`, or `::connect_codec` for messages alone.
    ///
    /// By default, code for Cargo's `OUT_DIR` has no such path: the macros `include_proto!` and
    /// `include_protos!` of one of these crates include it, and supply it. Code for an
    /// [`with_out_dir`](Self::with_out_dir) has `::connect_tower`.
    #[must_use]
    pub fn with_crate_path(mut self, path: impl Into<String>) -> Self {
        self.crate_path = Some(path.into());
        self
    }

    /// The directory to write to, for code that is checked in; Cargo's `OUT_DIR` by default.
    #[must_use]
    pub fn with_out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self.checked_in = true;
        self
    }

    /// The `protoc` or `buf` that compiles `.proto` files, by name or path; by default none is needed but for
    /// editions, see [`compile`](Self::compile). A program that is not called `buf` is asked as `protoc`
    /// is.
    #[cfg(feature = "compile")]
    #[must_use]
    pub fn with_compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Whether each package has its schemas in `FILE_DESCRIPTOR_SET`, which servers hand to the router
    /// for reflection; `true` by default.
    ///
    /// It is an encoded `google.protobuf.FileDescriptorSet` of the package's files and all that they
    /// import, in an order in which each file comes after its imports, without comments. A
    /// program that serves nothing of the package does not contain it.
    #[must_use]
    pub fn with_descriptor_set(mut self, descriptor_set: bool) -> Self {
        self.descriptor_set = descriptor_set;
        self
    }

    /// How packages become a tree of modules; [`Layout::Include`] by default.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The name of the file that includes all packages as a tree of modules, in
    /// [`Layout::Include`]; `_protos.rs` by default.
    #[must_use]
    pub fn with_include_file(mut self, name: impl Into<String>) -> Self {
        self.include_file = name.into();
        self
    }

    /// Names the Rust path of a package or a type that exists already: it is not generated.
    ///
    /// `.` stands for all packages: the path is then that of a tree of modules as this crate makes it.
    /// The closest path wins. The types of `google.protobuf` are always those of prost-types.
    ///
    /// The types must be prost messages; if messages have [JSON](Self::with_json), the types must have
    /// been generated by this crate.
    #[must_use]
    pub fn add_extern_path(mut self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        self.extern_paths.push((proto.into(), rust.into()));
        self
    }

    /// Makes map fields `HashMap` instead of `BTreeMap`.
    ///
    /// By default the entries are written in the order of their keys, so that equal messages have equal
    /// encodings, in binary and in JSON. Those of a `HashMap` are written in random order: each GET of
    /// such a message has another URL, which no cache knows.
    #[must_use]
    pub fn add_hash_map(mut self, path: impl Into<String>) -> Self {
        self.hash_maps.push(path.into());
        self
    }

    /// Which `bytes` fields are `Bytes`, which shares the memory of the input; all (`.`) by default.
    /// The others are `Vec<u8>`.
    #[must_use]
    pub fn with_bytes<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.bytes = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Boxes a message field. Recursive ones are boxed anyway.
    #[must_use]
    pub fn add_boxed(mut self, path: impl Into<String>) -> Self {
        self.boxed.push(path.into());
        self
    }

    /// Adds views to messages, and lets the handlers of methods take them: a path of a message, a method, or
    /// of what they are in.
    ///
    /// The view of `Order` is `OrderView<'a>`, a struct whose strings and bytes are slices of the encoded
    /// message. All that a message holds gets views with it, if it is generated here and holds a string or
    /// bytes. The handler of such a method takes `Request<View<Order>>` instead of `Request<Order>`; its client
    /// stays as it is.
    #[must_use]
    pub fn add_view(mut self, path: impl Into<String>) -> Self {
        self.views.push(path.into());
        self
    }

    /// Messages that keep the fields that their schema does not have, in a field `unknown_fields`, and write
    /// them again; the others lose them.
    ///
    /// Such a message is not `Copy`. Its extensions are constants in the module of what declares them, by
    /// which they are read and set. An unknown number of a closed enum is an unknown field of it.
    #[must_use]
    pub fn add_unknown_fields(mut self, path: impl Into<String>) -> Self {
        self.unknown_fields.push(path.into());
        self
    }

    /// Adds an attribute to messages, enums and oneofs: `#[derive(my::Derive)]`.
    #[must_use]
    pub fn add_type_attribute(
        mut self,
        path: impl Into<String>,
        attribute: impl Into<String>,
    ) -> Self {
        self.type_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Adds an attribute to fields, enum values and members of oneofs.
    #[must_use]
    pub fn add_field_attribute(
        mut self,
        path: impl Into<String>,
        attribute: impl Into<String>,
    ) -> Self {
        self.field_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Calls this function whenever a [`Stage`] is done with a file.
    ///
    /// What an installed compiler reads is not reported.
    #[must_use]
    pub fn with_progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Report(Arc::new(report));
        self
    }

    pub(crate) fn report(&self, stage: Stage, done: usize, total: usize) {
        (self.progress.0)(Progress { stage, done, total });
    }

    /// Whether each setting has an effect. Those with paths need files for that.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let include_file = self.include_file != DEFAULT_INCLUDE_FILE;
        let settings = [
            (
                self.server_feature.is_some() && !self.server,
                "server_feature: no servers are generated",
            ),
            (
                self.client_feature.is_some() && !self.client,
                "client_feature: no clients are generated",
            ),
            (
                self.default_methods && !self.server,
                "default_methods: no traits are generated",
            ),
            (
                include_file && self.layout == Layout::Modules,
                "include_file: layout `modules` includes no files",
            ),
            (
                !(self.views.is_empty() || self.messages && self.json),
                "view: views are of messages that are generated with JSON",
            ),
        ];
        let unused = settings.iter().filter(|(is_unused, _)| *is_unused);
        Error::all(unused.map(|(_, text)| {
            Error::new(format!("an option has no effect: {text}"))
                .with_help("leave the option out, or generate what it is for")
        }))
    }

    /// The path of the crate that generated code names itself, if no macro does.
    pub(crate) fn written_crate_path(&self) -> Option<&str> {
        let default = self.checked_in.then_some(DEFAULT_CRATE_PATH);
        self.crate_path.as_deref().or(default)
    }

    /// Generates nothing but the JSON of `google.protobuf` types, for connect-codec itself.
    #[doc(hidden)]
    #[must_use]
    pub fn with_json_of_well_known_types(mut self) -> Self {
        self.well_known_json = true;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            messages: true,
            json: true,
            server: true,
            client: true,
            server_feature: None,
            client_feature: None,
            default_methods: false,
            crate_path: None,
            out_dir: None,
            #[cfg(feature = "compile")]
            compiler: None,
            checked_in: false,
            descriptor_set: true,
            layout: Layout::default(),
            include_file: String::from(DEFAULT_INCLUDE_FILE),
            extern_paths: Vec::new(),
            hash_maps: Vec::new(),
            bytes: vec![String::from(".")],
            boxed: Vec::new(),
            views: Vec::new(),
            unknown_fields: Vec::new(),
            type_attributes: Vec::new(),
            field_attributes: Vec::new(),
            well_known_json: false,
            progress: Report(Arc::new(|_| ())),
        }
    }
}

const DEFAULT_INCLUDE_FILE: &str = "_protos.rs";
/// What checked-in code names by default.
pub(crate) const DEFAULT_CRATE_PATH: &str = "::connect_tower";
