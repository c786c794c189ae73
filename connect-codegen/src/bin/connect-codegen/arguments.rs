//! What the command is given.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use connect_codegen::{Config, Schemas};
use lexopt::{
    Arg::{Long, Short, Value},
    Parser,
};

use crate::{Error, progress};

pub(crate) const HELP: &str = include_str!("help.txt");

/// All that is given, in whichever order.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    inputs: Vec<PathBuf>,
    includes: Vec<PathBuf>,
    options: Vec<String>,
    compiler: Option<PathBuf>,
    descriptor_set: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Version,
    Check,
    Generate { out: PathBuf },
    Diff { out: PathBuf },
    Explain { name: String },
}

impl Arguments {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, Error> {
        let mut out = None;
        let mut values = Vec::<OsString>::new();
        let mut arguments = Self {
            command: Command::Help,
            inputs: Vec::new(),
            includes: Vec::new(),
            options: Vec::new(),
            compiler: None,
            descriptor_set: None,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(arguments),
                Short('V') | Long("version") => {
                    arguments.command = Command::Version;
                    return Ok(arguments);
                }
                Short('I') | Long("include") => arguments.includes.push(parser.value()?.into()),
                Short('o') | Long("out") => out = Some(PathBuf::from(parser.value()?)),
                Long("opt") => arguments.options.push(text(parser.value()?)?),
                Long("compiler") => arguments.compiler = Some(parser.value()?.into()),
                Long("descriptor-set") => arguments.descriptor_set = Some(parser.value()?.into()),
                Value(value) => values.push(value),
                other => return Err(format!("{}{SEE_HELP}", other.unexpected()).into()),
            }
        }
        let mut values = values.into_iter();
        let command = values.next().map(text).transpose()?;
        let needs_out = || {
            format!(
                "{} needs --out{SEE_HELP}",
                command.as_deref().unwrap_or_default()
            )
        };
        let takes_out = matches!(command.as_deref(), Some("generate" | "diff"));
        if out.is_some() && !takes_out {
            return Err(format!("--out is for generate and diff{SEE_HELP}").into());
        }
        arguments.command = match command.as_deref() {
            None => return Err(format!("what to do is not said{SEE_HELP}").into()),
            Some("check") => Command::Check,
            Some("generate") => Command::Generate {
                out: out.ok_or_else(needs_out)?,
            },
            Some("diff") => Command::Diff {
                out: out.ok_or_else(needs_out)?,
            },
            Some("explain") => Command::Explain {
                name: text(values.next().ok_or_else(|| {
                    format!("explain needs the full name of an element{SEE_HELP}")
                })?)?,
            },
            Some(other) => return Err(format!("unknown command {other:?}{SEE_HELP}").into()),
        };
        arguments.inputs = values.map(PathBuf::from).collect();
        match (arguments.inputs.is_empty(), &arguments.descriptor_set) {
            (true, None) => Err(format!("no files are given{SEE_HELP}").into()),
            (false, Some(_)) => {
                Err("files and --descriptor-set are given: one of them is enough".into())
            }
            _ => Ok(arguments),
        }
    }

    /// Reads all files.
    pub(crate) fn schemas(&self) -> Result<Schemas, Error> {
        let mut config = Config::from_options(&self.options.join(","))?;
        if let Some(program) = &self.compiler {
            config = config.with_compiler(program);
        }
        if let Some(report) = progress::on_stderr() {
            config = config.with_progress(report);
        }
        if let Some(set) = &self.descriptor_set {
            return Ok(config.read_descriptor_set(set)?);
        }
        let (mut files, mut includes) = (Vec::new(), self.includes.clone());
        for input in &self.inputs {
            if input.is_dir() {
                protos(input, &mut files)?;
                if self.includes.is_empty() {
                    includes.push(input.clone());
                }
            } else {
                files.push(input.clone());
            }
        }
        if files.is_empty() {
            return Err("there is no .proto file in what is given".into());
        }
        if includes.is_empty() {
            includes.push(PathBuf::from("."));
        }
        Ok(config.read(&files, &includes)?)
    }
}

/// All `.proto` files below a folder, by name.
fn protos(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |error| format!("cannot read {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            protos(&path, out)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            out.push(path);
        }
    }
    Ok(())
}

fn text(value: OsString) -> Result<String, Error> {
    let text = value.into_string();
    text.map_err(|value| format!("{value:?} is no UTF-8").into())
}

const SEE_HELP: &str = ", see --help";
