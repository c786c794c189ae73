//! `generate`: code to a folder, where only what changes is touched.

use std::{fs, path::Path, process::ExitCode};

use crate::{
    Error,
    arguments::Arguments,
    folder::{Change, changes},
    print,
};

pub(crate) fn run(arguments: &Arguments, out: &Path) -> Result<ExitCode, Error> {
    let files = arguments.schemas()?.generate()?;
    let count = files.len();
    let mut text = String::new();
    let (mut written, mut removed) = (0, 0);
    for Change { path, new, .. } in changes(out, files)? {
        let shown = path.display();
        match new {
            Some(content) => {
                let folder = path.parent().unwrap_or(out);
                let result = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
                result.map_err(|error| format!("cannot write {shown}: {error}"))?;
                text.push_str(&format!("wrote {shown}\n"));
                written += 1;
            }
            None => {
                fs::remove_file(&path)
                    .map_err(|error| format!("cannot remove {shown}: {error}"))?;
                let inner = path.ancestors().skip(1).take_while(|folder| *folder != out);
                for folder in inner {
                    if fs::remove_dir(folder).is_err() {
                        // Something else is in it.
                        break;
                    }
                }
                text.push_str(&format!("removed {shown}\n"));
                removed += 1;
            }
        }
    }
    let unchanged = count - written;
    print(&format!(
        "{text}{count} files: {written} written, {removed} removed, {unchanged} unchanged\n"
    ))
}
