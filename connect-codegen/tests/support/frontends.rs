//! Who calls the plugin.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use connect_codegen::descriptors;
use prost::Message as _;
use prost_types::{
    FileDescriptorSet,
    compiler::{CodeGeneratorRequest, CodeGeneratorResponse},
};

/// The schemas of the check crate.
pub(crate) const FILES: [&str; 9] = [
    "names.proto",
    "services.proto",
    "shapes/v1/legacy.proto",
    "shapes/v1/shapes.proto",
    "shapes/v1/tour.proto",
    "shop.proto",
    "shop_order.proto",
    "shop_stock.proto",
    "unnamed.proto",
];

pub(crate) fn protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("check/proto")
}

pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_protoc-gen-connect-prost");

#[derive(Debug)]
pub(crate) enum Frontend {
    /// A request made by this crate's own parser.
    Protox,
    Protoc(PathBuf),
    Buf(PathBuf),
}

impl Frontend {
    /// This test, and whatever else is there.
    pub(crate) fn all() -> Vec<Self> {
        let given = |name| env::var_os(name).map(PathBuf::from);
        let protoc = given("CODEGEN_PROTOC").map(Self::Protoc);
        let buf = given("CODEGEN_BUF").map(Self::Buf);
        [Self::Protox]
            .into_iter()
            .chain(protoc)
            .chain(buf)
            .collect()
    }

    pub(crate) fn run(&self, files: &[&str], options: &[&str], out: &Path) -> Result<(), String> {
        self.run_in(&protos(), files, options, out)
    }

    /// Generates code for the files of a directory.
    pub(crate) fn run_in(
        &self,
        dir: &Path,
        files: &[&str],
        options: &[&str],
        out: &Path,
    ) -> Result<(), String> {
        match self {
            Self::Protox => by_request(dir, files, options, out),
            Self::Protoc(program) => {
                let mut command = Command::new(program);
                command
                    .arg(format!("--plugin=protoc-gen-connect-prost={PLUGIN}"))
                    .arg(format!("--connect-prost_out={}", out.display()))
                    .args(options.iter().map(|o| format!("--connect-prost_opt={o}")))
                    .arg(format!("-I{}", dir.display()))
                    .args(files);
                run(&mut command)
            }
            Self::Buf(program) => {
                let quoted = options.iter().map(|option| format!("{option:?}"));
                let options = quoted.collect::<Vec<_>>().join(",");
                let template = format!(
                    r#"{{"version":"v2","plugins":[{{"local":{PLUGIN:?},"out":".","strategy":"all","opt":[{options}]}}]}}"#
                );
                let mut command = Command::new(program);
                command
                    .args(["generate", "--template", &template, "-o"])
                    .arg(out)
                    .arg(dir);
                for file in files {
                    command.arg("--path").arg(dir.join(file));
                }
                run(&mut command)
            }
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn by_request(dir: &Path, files: &[&str], options: &[&str], out: &Path) -> Result<(), String> {
    let paths: Vec<_> = files.iter().map(|file| dir.join(file)).collect();
    let set = descriptors(&paths, &[dir]).map_err(|error| error.to_string())?;
    let set = FileDescriptorSet::decode(set.as_slice()).unwrap();
    let request = CodeGeneratorRequest {
        file_to_generate: files.iter().map(|&file| file.to_owned()).collect(),
        parameter: Some(options.join(",")),
        proto_file: set.file,
        compiler_version: None,
    };
    let mut child = Command::new(PLUGIN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&request.encode_to_vec()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let response = CodeGeneratorResponse::decode(output.stdout.as_slice()).unwrap();
    // FEATURE_PROTO3_OPTIONAL and FEATURE_SUPPORTS_EDITIONS.
    assert_eq!(response.supported_features, Some(3));
    for file in &response.file {
        let path = out.join(file.name());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.content()).unwrap();
    }
    match response.error {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
