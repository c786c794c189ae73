//! The index over random descriptor sets.

mod common;
#[path = "../../connect-tower/tests/common/mod.rs"]
mod tower;

use std::collections::BTreeSet;

use common::{answer, answers, extension, extensions, file, files, reflecting, symbol};
use connect_reflection::v1::server_reflection_response::MessageResponse as Answer;
use proptest::prelude::*;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto,
    ServiceDescriptorProto,
};

/// How much there is of everything in a message and below.
#[derive(Clone, Debug)]
struct Shape {
    fields: usize,
    oneofs: usize,
    values: Vec<usize>,
    extensions: usize,
    nested: Vec<Self>,
}

/// A file: its package, its messages, the methods of its services, and earlier files to import.
#[derive(Clone, Debug)]
struct FileShape {
    package: &'static str,
    messages: Vec<Shape>,
    services: Vec<usize>,
    imports: Vec<prop::sample::Index>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = (
        0..3_usize,
        0..2_usize,
        prop::collection::vec(0..3_usize, 0..2),
        0..2_usize,
    );
    let leaf = leaf.prop_map(|(fields, oneofs, values, extensions)| Shape {
        fields,
        oneofs,
        values,
        extensions,
        nested: Vec::new(),
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..3))
            .prop_map(|(shape, nested)| Shape { nested, ..shape })
    })
}

fn file_shape() -> impl Strategy<Value = FileShape> {
    (
        prop::sample::select(vec!["", "p", "p.q", "q"]),
        prop::collection::vec(shape(), 0..3),
        prop::collection::vec(0..3_usize, 0..2),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    )
        .prop_map(|(package, messages, services, imports)| FileShape {
            package,
            messages,
            services,
            imports,
        })
}

/// Builds descriptors, and notes what is declared where.
#[derive(Default)]
struct Built {
    files: Vec<FileDescriptorProto>,
    /// Symbol and file.
    symbols: Vec<(String, usize)>,
    /// Message, number and file.
    extensions: Vec<(String, i32, usize)>,
    count: usize,
}

impl Built {
    /// A name that nothing else has.
    fn name(&mut self, kind: &str, scope: &str) -> String {
        self.count += 1;
        let name = format!("{kind}{}", self.count);
        let full = if scope.is_empty() {
            name.clone()
        } else {
            format!("{scope}.{name}")
        };
        self.symbols.push((full, self.files.len()));
        name
    }

    fn full(&self) -> String {
        self.symbols.last().unwrap().0.clone()
    }

    fn add(&mut self, shape: &FileShape) {
        let package = shape.package;
        let number = self.files.len();
        let imports: BTreeSet<_> = match number {
            0 => BTreeSet::new(),
            _ => shape
                .imports
                .iter()
                .map(|import| import.index(number))
                .collect(),
        };
        let message_type = shape
            .messages
            .iter()
            .map(|shape| self.message(shape, package));
        let message_type = message_type.collect();
        let service = shape
            .services
            .iter()
            .map(|methods| self.service(*methods, package));
        let service = service.collect();
        self.files.push(FileDescriptorProto {
            name: Some(format!("{number}.proto")),
            package: Some(package.to_owned()),
            dependency: imports
                .iter()
                .map(|number| format!("{number}.proto"))
                .collect(),
            message_type,
            service,
            ..FileDescriptorProto::default()
        });
    }

    fn message(&mut self, shape: &Shape, scope: &str) -> DescriptorProto {
        let name = self.name("M", scope);
        let full = self.full();
        let mut message = DescriptorProto {
            name: Some(name),
            ..DescriptorProto::default()
        };
        for _ in 0..shape.fields {
            message.field.push(FieldDescriptorProto {
                name: Some(self.name("f", &full)),
                ..FieldDescriptorProto::default()
            });
        }
        for _ in 0..shape.oneofs {
            message.oneof_decl.push(OneofDescriptorProto {
                name: Some(self.name("o", &full)),
                ..OneofDescriptorProto::default()
            });
        }
        for number in 0..shape.extensions {
            let number = i32::try_from(number).unwrap() + 100;
            message.extension.push(FieldDescriptorProto {
                name: Some(self.name("x", &full)),
                extendee: Some(format!(".{full}")),
                number: Some(number),
                ..FieldDescriptorProto::default()
            });
            self.extensions
                .push((full.clone(), number, self.files.len()));
        }
        for values in &shape.values {
            let name = self.name("E", &full);
            let values = (0..*values).map(|_| EnumValueDescriptorProto {
                name: Some(self.name("V", &full)),
                ..EnumValueDescriptorProto::default()
            });
            message.enum_type.push(EnumDescriptorProto {
                value: values.collect(),
                name: Some(name),
                ..EnumDescriptorProto::default()
            });
        }
        for nested in &shape.nested {
            message.nested_type.push(self.message(nested, &full));
        }
        message
    }

    fn service(&mut self, methods: usize, scope: &str) -> ServiceDescriptorProto {
        let name = self.name("S", scope);
        let full = self.full();
        let method = (0..methods).map(|_| MethodDescriptorProto {
            name: Some(self.name("m", &full)),
            ..MethodDescriptorProto::default()
        });
        ServiceDescriptorProto {
            method: method.collect(),
            name: Some(name),
            ..ServiceDescriptorProto::default()
        }
    }

    /// A file and all that it imports, directly or not.
    fn closure(&self, file: usize) -> BTreeSet<String> {
        let mut names = BTreeSet::from([format!("{file}.proto")]);
        // Imports have lower numbers.
        for file in self.files[..=file].iter().rev() {
            if names.contains(file.name()) {
                names.extend(file.dependency.iter().cloned());
            }
        }
        names
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_symbol_leads_to_its_file_and_all_imports(
        shapes in prop::collection::vec(file_shape(), 1..5),
        in_two_sets in any::<bool>(),
        reversed in any::<bool>(),
    ) {
        let mut built = Built::default();
        for shape in &shapes {
            built.add(shape);
        }
        let mut sets = vec![FileDescriptorSet { file: built.files.clone() }];
        if in_two_sets {
            let rest = sets[0].file.split_off(shapes.len() / 2);
            sets.push(FileDescriptorSet { file: rest });
        }
        if reversed {
            sets.reverse();
            sets.iter_mut().for_each(|set| set.file.reverse());
        }
        let client = reflecting(sets);

        for (name, number) in &built.symbols {
            let found = files(&answer(&client, symbol(name)));
            prop_assert_eq!(&found[0], &built.files[*number]);
            let names: Vec<_> = found.iter().map(|file| file.name().to_owned()).collect();
            let once: BTreeSet<_> = names.iter().cloned().collect();
            prop_assert_eq!(once.len(), names.len(), "each file once");
            prop_assert_eq!(once, built.closure(*number));
        }
        for (message, number, declared) in &built.extensions {
            let found = files(&answer(&client, extension(message, *number)));
            prop_assert_eq!(&found[0], &built.files[*declared]);
            let Answer::AllExtensionNumbersResponse(all) = answer(&client, extensions(message))
            else {
                panic!("no numbers");
            };
            prop_assert!(all.extension_number.contains(number));
        }
        // In one stream, whatever is asked for in whatever order, the client ends up with everything.
        let by_name = built.files.iter().map(|described| file(described.name()));
        let all = answers(&client, by_name);
        let received: BTreeSet<_> = all.iter().flat_map(files).map(|file| file.name().to_owned()).collect();
        prop_assert_eq!(received.len(), built.files.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes that are almost a set are refused or taken, and then every question has an answer.
    #[test]
    fn damaged_sets_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        questions in prop::collection::vec("\\PC{0,12}", 0..3),
    ) {
        use connect_tower::Router;
        use prost::Message as _;

        let mut bytes = common::zoo().encode_to_vec();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let reflection = connect_reflection::Reflection::new().add_descriptor_set(bytes);
        let router = Router::new().add_service(reflection.clone());
        if reflection.check(&router).is_ok() {
            let client = common::client(router);
            let names = questions.iter().map(String::as_str).chain(["zoo.Keeper", "zoo.Label", ""]);
            let questions = names.flat_map(|name| [symbol(name), file(name), extensions(name), extension(name, 100)]);
            let questions: Vec<_> = questions.collect();
            prop_assert_eq!(answers(&client, questions.clone()).len(), questions.len());
        }
    }
}
