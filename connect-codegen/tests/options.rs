//! Options as text, as `protoc` and `buf` hand them to the plugin.

use connect_codegen::{Config, Layout, generate, help};
use prost::Message as _;
use prost_types::FileDescriptorSet;

#[track_caller]
fn assert_same(options: &str, expected: impl FnOnce(Config) -> Config) {
    let parse = |options| Config::from_options(options).unwrap();
    let expected = expected(parse(""));
    assert_eq!(
        format!("{:?}", parse(options)),
        format!("{expected:?}"),
        "{options}"
    );
}

#[test]
fn options_are_settings() {
    assert_same("", |config| config);
    assert_same("default_methods,descriptor_set=true", |config| {
        config.with_default_methods(true)
    });
    assert_same("layout=modules, json=false", |config| {
        config.with_layout(Layout::Modules).with_json(false)
    });
    assert_same("bytes=", |config| config.with_bytes(None::<&str>));
    assert_same("bytes=.a,bytes=.b", |config| {
        config.with_bytes([".a", ".b"])
    });
}

#[test]
fn commas_in_values_part_nothing() {
    assert_same(
        "type_attribute=.p.A=#[derive(Eq, Hash)],,hash_map=.",
        |config| {
            let attribute = "#[derive(Eq, Hash)]";
            config
                .add_type_attribute(".p.A", attribute)
                .add_hash_map(".")
        },
    );
    assert_same(
        r#"field_attribute=.=#[doc = "a, \" [b"],boxed=.a"#,
        |config| {
            let attribute = r#"#[doc = "a, \" [b"]"#;
            config.add_field_attribute(".", attribute).add_boxed(".a")
        },
    );
}

/// A setting without an effect is a mistake.
#[test]
fn settings_without_effect_are_refused() {
    let nothing = FileDescriptorSet::default().encode_to_vec();
    for (options, says) in [
        (
            "view=.,json=false",
            "view: views are of messages that are generated with JSON",
        ),
        (
            "server=false,server_feature=server",
            "server_feature: no servers are generated",
        ),
        (
            "client=false,client_feature=client",
            "client_feature: no clients are generated",
        ),
        (
            "server=false,default_methods",
            "default_methods: no traits are generated",
        ),
        (
            "layout=modules,include_file=all.rs",
            "include_file: layout `modules` includes no files",
        ),
    ] {
        let config = Config::from_options(options).unwrap();
        let error = generate(&nothing, &[] as &[&str], &config).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// The help is the list of options.
#[test]
fn every_option_is_in_the_help() {
    let mut count = 0;
    for line in help().lines() {
        let option = line
            .strip_prefix("  ")
            .and_then(|line| line.split_once('='));
        let Some((name, value)) = option.filter(|(name, _)| !name.contains([' ', '-'])) else {
            continue;
        };
        let value = value.split('|').next_back().unwrap();
        Config::from_options(&format!("{name}={value}")).unwrap();
        count += 1;
    }
    assert_eq!(count, 19);
}

#[test]
fn what_is_wrong_is_said() {
    for (options, says) in [
        (
            "jsn=true",
            "unknown option \"jsn\"\n  = help: did you mean json?",
        ),
        (
            "nothing_like_it",
            "unknown option \"nothing_like_it\"\n  = help: there are messages, json, ",
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
        let error = Config::from_options(options).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
