//! What somebody writes who needs this JSON and has no generator: structs with serde's derive, numbers of 64 bits
//! as strings, defaults left out.

use std::{collections::HashMap, fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The batch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LogBatch {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    records: Vec<LogRecord>,
}

/// A record of the batch.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogRecord {
    #[serde(skip_serializing_if = "String::is_empty")]
    service_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    instance_id: String,
    #[serde(skip_serializing_if = "is_default")]
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    time_unix_nano: i64,
    #[serde(skip_serializing_if = "is_default")]
    severity: Severity,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    labels: HashMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    duration_seconds: f64,
    #[serde(skip_serializing_if = "is_default")]
    status_code: u32,
    #[serde(skip_serializing_if = "is_default")]
    sampled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    span_ids: Vec<Text64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct SourceLocation {
    #[serde(skip_serializing_if = "String::is_empty")]
    file: String,
    #[serde(skip_serializing_if = "is_default")]
    line: u32,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum Severity {
    #[default]
    #[serde(rename = "SEVERITY_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "SEVERITY_INFO")]
    Info,
    #[serde(rename = "SEVERITY_WARNING")]
    Warning,
    #[serde(rename = "SEVERITY_ERROR")]
    Error,
}

/// A number that is a string in JSON.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(transparent)]
struct Text64(#[serde(serialize_with = "write_text", deserialize_with = "read_text")] u64);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn write_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn read_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = <&str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}
