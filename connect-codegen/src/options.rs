//! The settings of [`Config`] as text: what a plugin gets from `protoc` and `buf`.

use std::collections::HashSet;

use crate::{Config, Error, config::Layout, nearest::nearest};

/// What `protoc-gen-connect-prost --help` prints. It is the list of options too.
pub(crate) const HELP: &str = include_str!("help.txt");

/// The options: the name, what its value is, and the line about it.
fn known() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = HELP.lines().zip(HELP.lines().skip(1));
    lines.filter_map(|(line, about)| {
        let (name, value) = line.strip_prefix("  ")?.split_once('=')?;
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_name.then_some((name, value, about))
    })
}

impl Config {
    /// Reads options from text, as the plugin does: `json=false,extern_path=.shapes.v1=::shapes`.
    ///
    /// The plugin's `--help` lists them. They have the names of the methods here, without `with_` and
    /// `add_`. Commas separate options; commas inside of brackets and quotes belong to the value. As
    /// this is for code that is checked in, the [crate path](Self::with_crate_path) is
    /// `::connect_tower` by default.
    ///
    /// ```
    /// let options = "server_feature=server,type_attribute=.=#[derive(Eq, Hash)]";
    /// connect_codegen::Config::from_options(options)?;
    /// # Ok::<(), connect_codegen::Error>(())
    /// ```
    ///
    /// # Errors
    /// If an option is unknown, given twice though it has one value, or has no value that it can have.
    pub fn from_options(options: &str) -> Result<Self, Error> {
        parse(options)
    }
}

fn parse(options: &str) -> Result<Config, Error> {
    let mut config = Config::new();
    config.checked_in = true;
    let mut seen = HashSet::new();
    let mut bytes: Option<Vec<String>> = None;
    for option in split(options)? {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (option, None),
        };
        let mut repeatable = known().filter(|(.., about)| about.ends_with("repeatable"));
        if !seen.insert(name) && repeatable.all(|(other, ..)| other != name) {
            return Err(Error::new(format!("option {name} is given twice")));
        }
        let setting = Setting { name, value };
        if name == "bytes" {
            let paths = bytes.get_or_insert_default();
            paths.extend(value.filter(|path| !path.is_empty()).map(str::to_owned));
        } else {
            config = setting.apply(config)?;
        }
    }
    if let Some(paths) = bytes {
        config = config.with_bytes(paths);
    }
    Ok(config)
}

/// One option as it was given.
struct Setting<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl Setting<'_> {
    fn apply(&self, config: Config) -> Result<Config, Error> {
        Ok(match self.name {
            "messages" => config.with_messages(self.bool()?),
            "json" => config.with_json(self.bool()?),
            "server" => config.with_server(self.bool()?),
            "client" => config.with_client(self.bool()?),
            "server_feature" => config.with_server_feature(self.text()?),
            "client_feature" => config.with_client_feature(self.text()?),
            "default_methods" => config.with_default_methods(self.bool()?),
            "descriptor_set" => config.with_descriptor_set(self.bool()?),
            "crate_path" => config.with_crate_path(self.text()?),
            "layout" => config.with_layout(self.layout()?),
            "include_file" => config.with_include_file(self.text()?),
            "extern_path" => {
                let (proto, rust) = self.pair()?;
                config.add_extern_path(proto, rust)
            }
            "hash_map" => config.add_hash_map(self.text()?),
            "boxed" => config.add_boxed(self.text()?),
            "view" => config.add_view(self.text()?),
            "unknown_fields" => config.add_unknown_fields(self.text()?),
            "type_attribute" => {
                let (path, attribute) = self.pair()?;
                config.add_type_attribute(path, attribute)
            }
            "field_attribute" => {
                let (path, attribute) = self.pair()?;
                config.add_field_attribute(path, attribute)
            }
            unknown => {
                let error = Error::new(format!("unknown option {unknown:?}"));
                let names: Vec<_> = known().map(|(name, ..)| name).collect();
                return Err(match nearest(unknown, names.iter().copied()) {
                    Some(near) => error.with_help(format!("did you mean {near}?")),
                    None => error.with_help(format!("there are {}", names.join(", "))),
                });
            }
        })
    }

    /// A name alone switches on.
    fn bool(&self) -> Result<bool, Error> {
        match self.value {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.wrong()),
        }
    }

    fn layout(&self) -> Result<Layout, Error> {
        match self.value {
            Some("include") => Ok(Layout::Include),
            Some("modules") => Ok(Layout::Modules),
            _ => Err(self.wrong()),
        }
    }

    fn text(&self) -> Result<&str, Error> {
        let text = self.value.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.wrong())
    }

    fn pair(&self) -> Result<(&str, &str), Error> {
        let pair = self.value.and_then(|value| value.split_once('='));
        let pair = pair.filter(|(path, value)| !path.is_empty() && !value.is_empty());
        pair.ok_or_else(|| self.wrong())
    }

    fn wrong(&self) -> Error {
        let name = self.name;
        let usage = known().find(|(other, ..)| *other == name);
        let usage = usage.map_or("", |(_, value, _)| value);
        match self.value {
            Some(value) => Error::new(format!("option {name}={value}: expected {name}={usage}")),
            None => Error::new(format!(
                "option {name} has no value: expected {name}={usage}"
            )),
        }
    }
}

/// Parts a list at its commas, but not at those in brackets and in string literals of a value.
fn split(options: &str) -> Result<Vec<&str>, Error> {
    let mut out = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for (at, c) in options.char_indices() {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted => escaped = !was_escaped,
            '"' if !was_escaped => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(&options[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = &options[start..];
    if depth > 0 || quoted {
        let what = if quoted { "a quote" } else { "a bracket" };
        return Err(Error::new(format!("option {last}: {what} is not closed")));
    }
    out.push(last);
    out.retain_mut(|option| {
        *option = option.trim();
        !option.is_empty()
    });
    Ok(out)
}
