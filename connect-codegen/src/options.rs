//! The settings of [`Config`] as text: what a plugin gets from `protoc` and `buf`.

use std::{collections::HashSet, fmt::Write as _};

use crate::{Config, Error, config::Layout};

/// An option, as `--help` shows it.
struct Named {
    name: &'static str,
    value: &'static str,
    about: &'static str,
}

const fn named(name: &'static str, value: &'static str, about: &'static str) -> Named {
    Named { name, value, about }
}

/// All options; those whose value is a list item may be repeated.
const OPTIONS: [Named; 17] = [
    named(
        "messages",
        BOOL,
        "messages and enums [true]; false: services only, over extern_path",
    ),
    named("json", BOOL, "canonical JSON and serde for messages [true]"),
    named(
        "server",
        BOOL,
        "a trait and a server for each service [true]",
    ),
    named("client", BOOL, "a client for each service [true]"),
    named(
        "server_feature",
        "NAME",
        "put traits and servers behind this Cargo feature",
    ),
    named(
        "client_feature",
        "NAME",
        "put clients behind this Cargo feature",
    ),
    named(
        "default_methods",
        BOOL,
        "methods of traits answer `unimplemented` by default [false]",
    ),
    named(
        "descriptor_set",
        BOOL,
        "the schemas of each package, for reflection [true]",
    ),
    named(
        "crate_path",
        "PATH",
        "the crate that the code names [::connect_tower]",
    ),
    named(
        "layout",
        "include|modules",
        "a file for each package and one that includes them [include], or a tree of mod.rs",
    ),
    named(
        "include_file",
        "NAME",
        "the file that includes all packages [_protos.rs]",
    ),
    named(
        "extern_path",
        ".PROTO=::RUST",
        "a package or type that exists in Rust; `.` for all; repeatable",
    ),
    named(
        "bytes",
        ".PROTO",
        "`bytes` fields that are Bytes, the others are Vec<u8>; empty for none [.]; repeatable",
    ),
    named(
        "hash_map",
        ".PROTO",
        "map fields that are HashMap, the others are BTreeMap; repeatable",
    ),
    named("boxed", ".PROTO", "message fields to be boxed; repeatable"),
    named(
        "type_attribute",
        ".PROTO=ATTRIBUTE",
        "an attribute for messages, enums and oneofs; repeatable",
    ),
    named(
        "field_attribute",
        ".PROTO=ATTRIBUTE",
        "an attribute for fields and values of enums; repeatable",
    ),
];

const BOOL: &str = "true|false";

const REPEATABLE: [&str; 6] = [
    "extern_path",
    "bytes",
    "hash_map",
    "boxed",
    "type_attribute",
    "field_attribute",
];

/// The options, a paragraph each.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for Named { name, value, about } in &OPTIONS {
        let written = writeln!(text, "  {name}={value}\n      {about}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
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
        if !seen.insert(name) && !REPEATABLE.contains(&name) {
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
    match bytes {
        Some(paths) => Ok(config.with_bytes(paths)),
        None => Ok(config),
    }
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
            "type_attribute" => {
                let (path, attribute) = self.pair()?;
                config.add_type_attribute(path, attribute)
            }
            "field_attribute" => {
                let (path, attribute) = self.pair()?;
                config.add_field_attribute(path, attribute)
            }
            unknown => {
                let names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
                let names = names.join(", ");
                return Err(Error::new(format!(
                    "unknown option {unknown:?}; there are {names}"
                )));
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
        let mut options = OPTIONS.iter();
        let usage = options
            .find(|option| option.name == name)
            .map_or("", |option| option.value);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn error(options: &str) -> String {
        parse(options).unwrap_err().to_string()
    }

    #[test]
    fn commas_in_values_part_nothing() {
        let options = r#"json=false, type_attribute=.=#[doc = "a, \" [b"],,bytes=.a"#;
        assert_eq!(
            split(options).unwrap(),
            [
                "json=false",
                r#"type_attribute=.=#[doc = "a, \" [b"]"#,
                "bytes=.a"
            ]
        );
        let config = parse("type_attribute=.p.A=#[derive(Eq, Hash)],hash_map=.").unwrap();
        let attribute = (String::from(".p.A"), String::from("#[derive(Eq, Hash)]"));
        assert_eq!(config.type_attributes, [attribute]);
        assert_eq!(config.hash_maps, ["."]);
    }

    #[test]
    fn every_option_is_known_and_in_the_help() {
        let help = help();
        for option in &OPTIONS {
            let value = match option.value {
                BOOL => "false",
                "include|modules" => "modules",
                value => value,
            };
            let text = format!("{}={value}", option.name);
            parse(&text).unwrap();
            assert!(help.contains(&format!("  {}=", option.name)));
        }
    }

    #[test]
    fn names_alone_switch_on() {
        let config = parse("default_methods,descriptor_set=true").unwrap();
        assert!(config.default_methods && config.descriptor_set);
    }

    #[test]
    fn bytes_are_listed() {
        assert_eq!(parse("").unwrap().bytes, ["."]);
        assert!(parse("bytes=").unwrap().bytes.is_empty());
        assert_eq!(parse("bytes=.a,bytes=.b").unwrap().bytes, [".a", ".b"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (options, says) in [
            (
                "jsn=true",
                "unknown option \"jsn\"; there are messages, json, ",
            ),
            ("json=yes", "option json=yes: expected json=true|false"),
            ("json,json", "option json is given twice"),
            ("layout=flat", "expected layout=include|modules"),
            (
                "crate_path",
                "option crate_path has no value: expected crate_path=PATH",
            ),
            ("crate_path=", "expected crate_path=PATH"),
            (
                "extern_path=.a",
                "option extern_path=.a: expected extern_path=.PROTO=::RUST",
            ),
            (
                "type_attribute=.=#[derive(Eq",
                "type_attribute=.=#[derive(Eq: a bracket is not closed",
            ),
            ("type_attribute=.=#[doc = \"]", "a quote is not closed"),
        ] {
            let error = error(options);
            assert!(error.contains(says), "{error}");
        }
    }
}
