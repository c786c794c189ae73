//! Generates the schemas of `ROUNDTRIP_SETS`, a folder of descriptor sets that `run` makes, and a function that finds a message
//! type of theirs by its name.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    compiler::{CodeGeneratorRequest, CodeGeneratorResponse},
};

const WITHOUT_SETS: &str = "\"google.protobuf.Timestamp\" => crate::translate::<connect_codec::__codegen::prost_types::Timestamp>,\n";

/// A request whose files stay encoded: prost-types would drop what it does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct RawFiles {
    #[prost(bytes = "vec", repeated, tag = "1")]
    in_set: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    in_request: Vec<Vec<u8>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=ROUNDTRIP_SETS");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let (mut modules, mut registered) = (String::new(), String::new());
    let mut types = String::from(WITHOUT_SETS);
    let mut paths = Vec::new();
    // Without schemas there is little to find: enough for lints.
    if let Some(sets) = env::var_os("ROUNDTRIP_SETS") {
        println!("cargo::rerun-if-changed={}", Path::new(&sets).display());
        for entry in fs::read_dir(sets)? {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    for path in paths {
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .ok_or("a set without a name")?;
        let encoded = fs::read(&path)?;
        let set = FileDescriptorSet::decode(encoded.as_slice())?;
        let folder = out.join(name);
        generate(&encoded, &set, &folder)?;
        writeln!(
            modules,
            "pub(crate) mod {name} {{ include!({:?}); }}",
            folder.join("_protos.rs")
        )?;
        for file in set.file.iter().filter(|file| !is_well_known(file.name())) {
            let package: Vec<_> = file
                .package()
                .split('.')
                .filter(|part| !part.is_empty())
                .collect();
            let within: String = package
                .iter()
                .map(|part| format!("{}::", module(part)))
                .collect();
            let module = format!("{name}::{within}");
            for message in &file.message_type {
                find_all(&mut types, name, message, file.package(), &module)?;
            }
            let line = format!("{module}register_types(types);\n");
            if !file.message_type.is_empty() && !registered.contains(&line) {
                registered.push_str(&line);
            }
        }
    }
    let text = format!(
        "{modules}\npub(crate) fn find(name: &str) -> Option<crate::Translate> {{\nSome(match name {{\n{types}_ => return None,\n}})\n}}\n\
         pub(crate) fn register(types: &mut connect_codec::json::TypeRegistry) {{\n{registered}}}\n"
    );
    Ok(fs::write(out.join("schemas.rs"), text)?)
}

fn is_well_known(file: &str) -> bool {
    file.starts_with("google/protobuf/") && !file.contains("test_messages")
}

fn generate(encoded: &[u8], set: &FileDescriptorSet, folder: &Path) -> Result<(), Box<dyn Error>> {
    let names = set.file.iter().map(|file| file.name().to_owned());
    let request = CodeGeneratorRequest {
        file_to_generate: names.filter(|name| !is_well_known(name)).collect(),
        parameter: Some(
            "server=false,client=false,descriptor_set=false,crate_path=::connect_codec".to_owned(),
        ),
        ..CodeGeneratorRequest::default()
    };
    let files = RawFiles {
        in_request: RawFiles::decode(encoded)?.in_set,
        ..RawFiles::default()
    };
    // Encoded messages behind one another are one.
    let request = [request.encode_to_vec(), files.encode_to_vec()].concat();
    let response = CodeGeneratorResponse::decode(connect_codegen::plugin(&request)?.as_slice())?;
    if let Some(error) = response.error {
        return Err(error.into());
    }
    fs::create_dir_all(folder)?;
    for file in response.file {
        fs::write(folder.join(file.name()), file.content())?;
    }
    Ok(())
}

/// A line for a message and each in it: its name, behind its schema's, and its type.
fn find_all(
    out: &mut String,
    schema: &str,
    message: &DescriptorProto,
    package: &str,
    within: &str,
) -> Result<(), Box<dyn Error>> {
    let options = message.options.as_ref();
    if options.is_some_and(|options| options.map_entry() || options.message_set_wire_format()) {
        return Ok(());
    }
    let full_name = format!("{package}.{}", message.name());
    let full_name = full_name.trim_start_matches('.');
    let ty = message.name().to_upper_camel_case();
    writeln!(
        out,
        "\"{schema}/{full_name}\" => crate::translate::<{within}{ty}>,"
    )?;
    let within = format!("{within}{}::", module(message.name()));
    for nested in &message.nested_type {
        find_all(out, schema, nested, full_name, &within)?;
    }
    Ok(())
}

/// The module of a package's part, or of the types in a message.
fn module(name: &str) -> String {
    match name.to_snake_case().as_str() {
        "self" | "super" | "crate" => format!("{name}_"),
        name => format!("r#{name}"),
    }
}
