//! The generated code in git is what would be generated now.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use connect_codegen::{Config, Error, Layout};

fn generate(out: &Path) -> Result<(), Error> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    Config::new()
        .with_crate_path("::connect_tokio")
        .with_layout(Layout::Modules)
        .with_out_dir(out)
        .compile(&[proto.join("quotes/v1/quotes.proto")], &[proto])
}

#[test]
fn generated_code_is_fresh() {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    if env::var_os("UPDATE_GENERATED").is_some() {
        generate(&checked_in).unwrap();
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fresh");
    let _ = fs::remove_dir_all(&fresh);
    generate(&fresh).unwrap();
    let (old, new) = (read_all(&checked_in), read_all(&fresh));
    assert!(
        !new.is_empty() && old == new,
        "src/generated is not what would be generated now: run `UPDATE_GENERATED=1 cargo test -p checked-in`"
    );
}

/// All files below a directory, by their paths in it.
fn read_all(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut out = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                out.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    out
}
