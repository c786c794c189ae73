//! Fields of one message that have the same name in JSON: refused as protoc does, whoever made the descriptors.

use std::collections::HashMap;

use super::{
    features::{Features, JsonFormat},
    names::json_name,
};
use crate::{Error, descriptor::DescriptorProto, error::Place};

/// Refuses a message of which two fields have one name in JSON; `place` is that of a field, by its index.
///
/// Names that nobody chose must differ too where a field has a `json_name`: field masks know no other. With
/// `json_format = LEGACY_BEST_EFFORT`, as in proto2, only names that both are chosen are refused
/// (<https://protobuf.dev/editions/features/#json_format>).
pub(super) fn check(
    message: &DescriptorProto,
    features: Features,
    place: impl Fn(usize) -> Place,
) -> Result<(), Error> {
    let options = message.options.as_ref();
    if options.is_some_and(|o| o.deprecated_legacy_json_field_conflicts()) {
        return Ok(());
    }
    let is_strict = features.json_format() != JsonFormat::LegacyBestEffort;
    for with_custom in [false, true] {
        let mut names = HashMap::new();
        for (at, field) in message.field.iter().enumerate() {
            let default = json_name(field.name());
            let custom = field.json_name.clone();
            let custom = custom.filter(|name| with_custom && *name != default);
            let kind = if custom.is_some() {
                "custom"
            } else {
                "default"
            };
            let name = custom.unwrap_or(default);
            let Some((other, of)) = names.insert(name.clone(), (field.name(), kind)) else {
                continue;
            };
            if is_strict || (kind, of) == ("custom", "custom") {
                let text = format!(
                    "the {kind} JSON name of field {}, {name:?}, is the {of} JSON name of field {other} too",
                    field.name()
                );
                return Err(Error::at(place(at), text).with_help("rename one of them"));
            }
        }
    }
    Ok(())
}
