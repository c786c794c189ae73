//! Extensions: constants by which they are read and set.

use super::{Scope, docs, json, messages};
use crate::{
    code::Code,
    names::ROOT,
    schema::{Extension, Field, Kind, Scalar, Shape},
};

/// The constant of an extension.
pub(super) fn constant(extension: &Extension, scope: &Scope, code: &mut Code) {
    let Extension {
        full_name,
        rust_name,
        of,
        field,
    } = extension;
    let fallback = || {
        let (number, of) = (field.number, &of.full_name);
        format!("`{full_name}`, extension {number} of `{of}`.")
    };
    docs::write(&field.source.comments, fallback, code);
    scope.allow_lints(code);
    if field.deprecated {
        code.line("#[deprecated]");
    }
    if let Kind::Enum(_) = field.kind {
        // The default may be a value that is deprecated.
        code.line("#[allow(deprecated)]");
    }
    messages::add_attributes(&field.attributes, code);
    let value = messages::value_type(field, scope);
    let (label, ty) = match field.shape {
        Shape::Repeated { packed } => (
            match packed && messages::can_pack(&field.kind) {
                true => "Packed",
                false => "Repeated",
            },
            format!("{ROOT}::prost::alloc::vec::Vec<{value}>"),
        ),
        _ => ("Optional", value),
    };
    let (of, kind, number) = (scope.path(&of.path), json::kind(field, scope), field.number);
    let mut value = format!("{label}({kind})");
    if let Some(default) = default(field, scope) {
        value.extend([" = ", &default]);
    }
    let (number, name) = (number.to_string(), format!("{full_name:?}"));
    let head = format!("pub const {rust_name}: ");
    let ty = format!("{ROOT}::Extension<{of}, {ty}>");
    let macro_name = format!("{ROOT}::unknown_fields::extension!");
    code.constant(&head, &ty, &macro_name, &[&number, &name, &value]);
}

/// The default value, if it is another one than that of the type.
fn default(field: &Field, scope: &Scope) -> Option<String> {
    let text = field.default.as_deref();
    Some(match (&field.kind, text) {
        _ if matches!(field.shape, Shape::Repeated { .. }) => return None,
        (Kind::Enum(to), None) => format!("{}::default().into()", scope.path(&to.path)),
        (Kind::Enum(to), Some(variant)) => format!("{}::{variant}.into()", scope.path(&to.path)),
        (Kind::Scalar(Scalar::String), Some(text)) => format!("{text:?}.into()"),
        (Kind::Scalar(scalar), Some(text)) => {
            let ty = messages::scalar_type(*scalar);
            match text {
                "inf" => format!("{ty}::INFINITY"),
                "-inf" => format!("{ty}::NEG_INFINITY"),
                "nan" => format!("{ty}::NAN"),
                // Numbers, `true` and `false` are written alike in Rust.
                number => number.to_owned(),
            }
        }
        (Kind::Bytes { .. }, Some(text)) => format!("{text}.as_slice().into()"),
        _ => return None,
    })
}
