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
    let names = message.field.iter().map(|field| {
        let default = json_name(field.name());
        let custom = field.json_name.as_deref();
        let custom = custom.filter(|name| *name != default);
        (field.name(), default, custom)
    });
    let names: Vec<_> = names.collect();
    for with_custom in [false, true] {
        let mut seen = HashMap::new();
        for (at, (field, default, custom)) in names.iter().enumerate() {
            let (kind, name) = match custom.filter(|_| with_custom) {
                Some(custom) => ("custom", custom),
                None => ("default", default.as_str()),
            };
            let Some((other, of)) = seen.insert(name, (field, kind)) else {
                continue;
            };
            if is_strict || (kind, of) == ("custom", "custom") {
                let text = format!(
                    "the {kind} JSON name of field {field}, {name:?}, is the {of} JSON name of field {other} too"
                );
                return Err(Error::at(place(at), text).with_help("rename one of them"));
            }
        }
    }
    Ok(())
}
