//! `diff`: what `generate` would change, for a job that refuses stale code.

use std::{path::Path, process::ExitCode};

use crate::{
    DIFFERENT, Error,
    arguments::Arguments,
    folder::{Change, changes},
    lines, print,
};

pub(crate) fn run(arguments: &Arguments, out: &Path) -> Result<ExitCode, Error> {
    let changes = changes(out, arguments.schemas()?.generate()?)?;
    if changes.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for Change { path, old, new } in &changes {
        let old = old.as_deref().map(String::from_utf8_lossy);
        let (path, new) = (path.display().to_string(), new.as_deref());
        let name = |text: Option<&str>| match text {
            Some(_) => path.clone(),
            None => String::from("/dev/null"),
        };
        let hunks = lines::unified(old.as_deref().unwrap_or_default(), new.unwrap_or_default());
        print(&format!(
            "--- {}\n+++ {}\n{hunks}",
            name(old.as_deref()),
            name(new)
        ))?;
    }
    let files = changes.len();
    eprintln!(
        "{} is not what would be generated: {files} files differ",
        out.display()
    );
    Ok(ExitCode::from(DIFFERENT))
}
