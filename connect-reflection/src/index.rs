//! Files of descriptor sets, by all that they can be asked for by.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque, hash_map::Entry};

use connect_tower::bytes::Bytes;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

use crate::DescriptorError;

/// Files, by name, symbol and extension.
pub(crate) struct Index {
    files: Vec<File>,
    by_name: HashMap<String, FileId>,
    symbols: HashMap<String, Symbol>,
    /// By the full name of the extended message, and by number.
    extensions: HashMap<String, BTreeMap<i32, FileId>>,
}

/// The place of a file in the index.
pub(crate) type FileId = usize;

struct File {
    descriptor: FileDescriptorProto,
    /// As it came: the descriptor has no custom options.
    encoded: Bytes,
    imports: Vec<FileId>,
}

#[derive(Clone, Copy)]
struct Symbol {
    file: FileId,
    is_message: bool,
}

/// A `google.protobuf.FileDescriptorSet` whose files are left as they are.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl Index {
    /// The files of an application's own sets, and of those that the router has.
    pub(crate) fn new(own: &[Bytes], router: &[&'static [u8]]) -> Result<Self, DescriptorError> {
        let mut index = Self {
            files: Vec::new(),
            by_name: HashMap::new(),
            symbols: HashMap::new(),
            extensions: HashMap::new(),
        };
        for (number, set) in (1..).zip(own) {
            let added = index.add_set(set.clone(), 0);
            added.map_err(|error| error.within(&format!("descriptor set {number}")))?;
        }
        let own = index.files.len();
        for (number, set) in (1..).zip(router) {
            let added = index.add_set(Bytes::from_static(set), own);
            added
                .map_err(|error| error.within(&format!("descriptor set {number} of the router")))?;
        }
        index.link()?;
        Ok(index)
    }

    /// The file of this name.
    pub(crate) fn file(&self, name: &str) -> Option<FileId> {
        self.by_name.get(name).copied()
    }

    /// The file that declares this symbol.
    pub(crate) fn file_of_symbol(&self, full_name: &str) -> Option<FileId> {
        self.symbols.get(full_name).map(|symbol| symbol.file)
    }

    /// The file that declares this extension.
    pub(crate) fn file_of_extension(&self, message: &str, number: i32) -> Option<FileId> {
        self.extensions.get(message)?.get(&number).copied()
    }

    /// The numbers of a message's extensions, in their order; `None` if there is no such message.
    pub(crate) fn extension_numbers(&self, message: &str) -> Option<Vec<i32>> {
        self.symbols
            .get(message)
            .filter(|symbol| symbol.is_message)?;
        let extensions = self.extensions.get(message);
        Some(extensions.map_or_else(Vec::new, |of_message| of_message.keys().copied().collect()))
    }

    /// A file and all that it imports, as far as they were not sent before; the file itself always.
    pub(crate) fn with_imports(&self, file: FileId, sent: &mut HashSet<FileId>) -> Vec<Bytes> {
        sent.insert(file);
        let mut out = vec![self.files[file].encoded.clone()];
        let mut queue = VecDeque::from([file]);
        while let Some(file) = queue.pop_front() {
            for &import in &self.files[file].imports {
                // What was sent, was sent with its imports.
                if sent.insert(import) {
                    out.push(self.files[import].encoded.clone());
                    queue.push_back(import);
                }
            }
        }
        out
    }

    /// Adds the files of a set, except those that the first `replacing` files stand for.
    fn add_set(&mut self, set: Bytes, replacing: FileId) -> Result<(), DescriptorError> {
        let malformed = |error: prost::DecodeError| {
            DescriptorError::new(format!(
                "it is no encoded google.protobuf.FileDescriptorSet: {error}"
            ))
        };
        let set = EncodedSet::decode(set).map_err(malformed)?;
        for encoded in set.file {
            let mut descriptor = FileDescriptorProto::decode(encoded.clone()).map_err(malformed)?;
            descriptor.source_code_info = None;
            if !self.is_replaced(&descriptor, replacing) {
                self.add_file(descriptor, encoded)?;
            }
        }
        Ok(())
    }

    /// Whether one of the first files stands for this one: it has the same name, or declares one of the same types.
    fn is_replaced(&self, descriptor: &FileDescriptorProto, first: FileId) -> bool {
        let package = descriptor.package();
        let messages = descriptor.message_type.iter().map(DescriptorProto::name);
        let enums = descriptor.enum_type.iter().map(EnumDescriptorProto::name);
        let services = descriptor.service.iter().map(ServiceDescriptorProto::name);
        let mut symbols = messages.chain(enums).chain(services);
        let is_first = |file: Option<FileId>| file.is_some_and(|file| file < first);
        is_first(self.file(descriptor.name()))
            || symbols.any(|name| is_first(self.file_of_symbol(&join(package, name))))
    }

    fn add_file(
        &mut self,
        descriptor: FileDescriptorProto,
        encoded: Bytes,
    ) -> Result<(), DescriptorError> {
        let name = descriptor.name();
        if name.is_empty() {
            return Err(DescriptorError::new("it has a file without a name"));
        }
        if let Some(&known) = self.by_name.get(name) {
            // Every compiler brings its own version of these, and their types are the same.
            let is_same =
                name.starts_with("google/protobuf/") || self.files[known].descriptor == descriptor;
            return if is_same {
                Ok(())
            } else {
                Err(DescriptorError::new(format!(
                    "its {name} is not the {name} that was there before: two files need two names"
                )))
            };
        }
        let id = self.files.len();
        self.by_name.insert(name.to_owned(), id);
        self.add_symbols(&descriptor, id)?;
        self.files.push(File {
            descriptor,
            encoded,
            imports: Vec::new(),
        });
        Ok(())
    }

    /// Finds the imports of all files, once all files are there.
    fn link(&mut self) -> Result<(), DescriptorError> {
        for file in &mut self.files {
            for import in &file.descriptor.dependency {
                let Some(&import) = self.by_name.get(import) else {
                    return Err(DescriptorError::new(format!(
                        "{} imports {import}, which is in no descriptor set: make the set with all imports \
                         (protoc needs --include_imports), or give the set that has the file too",
                        file.descriptor.name()
                    )));
                };
                file.imports.push(import);
            }
        }
        Ok(())
    }

    fn add_symbols(
        &mut self,
        descriptor: &FileDescriptorProto,
        file: FileId,
    ) -> Result<(), DescriptorError> {
        let mut symbols = Symbols {
            index: self,
            file,
            name: descriptor.name(),
        };
        let package = descriptor.package();
        for message in &descriptor.message_type {
            symbols.add_message(package, message)?;
        }
        for enumeration in &descriptor.enum_type {
            symbols.add_enum(package, enumeration)?;
        }
        for extension in &descriptor.extension {
            symbols.add_extension(package, extension)?;
        }
        for service in &descriptor.service {
            let full_name = join(package, service.name());
            for method in &service.method {
                symbols.add(join(&full_name, method.name()))?;
            }
            symbols.add(full_name)?;
        }
        Ok(())
    }
}

/// Adds the symbols of one file.
struct Symbols<'a> {
    index: &'a mut Index,
    file: FileId,
    name: &'a str,
}

impl Symbols<'_> {
    /// Recursion ends: prost refuses descriptors that are nested deeper than 100.
    fn add_message(
        &mut self,
        scope: &str,
        message: &DescriptorProto,
    ) -> Result<(), DescriptorError> {
        let full_name = join(scope, message.name());
        for field in &message.field {
            self.add(join(&full_name, field.name()))?;
        }
        for oneof in &message.oneof_decl {
            self.add(join(&full_name, oneof.name()))?;
        }
        for nested in &message.nested_type {
            self.add_message(&full_name, nested)?;
        }
        for nested in &message.enum_type {
            self.add_enum(&full_name, nested)?;
        }
        for extension in &message.extension {
            self.add_extension(&full_name, extension)?;
        }
        self.insert(full_name, true)
    }

    /// Values are siblings of their enum, not children.
    fn add_enum(
        &mut self,
        scope: &str,
        enumeration: &EnumDescriptorProto,
    ) -> Result<(), DescriptorError> {
        for value in &enumeration.value {
            self.add(join(scope, value.name()))?;
        }
        self.add(join(scope, enumeration.name()))
    }

    fn add_extension(
        &mut self,
        scope: &str,
        extension: &FieldDescriptorProto,
    ) -> Result<(), DescriptorError> {
        let message = extension.extendee();
        let message = message.strip_prefix('.').unwrap_or(message);
        let extensions = &mut self.index.extensions;
        let of_message = extensions.entry(message.to_owned()).or_default();
        if let Some(other) = of_message.insert(extension.number(), self.file) {
            let number = extension.number();
            return Err(self.conflict(&format!("extension {number} of {message}"), other));
        }
        self.add(join(scope, extension.name()))
    }

    fn add(&mut self, full_name: String) -> Result<(), DescriptorError> {
        self.insert(full_name, false)
    }

    fn insert(&mut self, full_name: String, is_message: bool) -> Result<(), DescriptorError> {
        let file = self.file;
        match self.index.symbols.entry(full_name) {
            Entry::Vacant(entry) => {
                entry.insert(Symbol { file, is_message });
                Ok(())
            }
            Entry::Occupied(entry) => {
                let (full_name, other) = (entry.key().clone(), entry.get().file);
                Err(self.conflict(&full_name, other))
            }
        }
    }

    fn conflict(&self, what: &str, other: FileId) -> DescriptorError {
        let name = self.name;
        // The file itself is not among them yet.
        let other = self.index.files.get(other);
        let other = other.map_or(name, |file| file.descriptor.name());
        DescriptorError::new(format!("{what} is declared in {other} and again in {name}"))
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}
