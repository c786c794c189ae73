//! Parts of generated code, as it is written but for its documentation.

use syn::{Fields, Item};

use crate::{
    emit::Package,
    names::identifier,
    print,
    schema::{File, Schema, Service, TypePath, module_of},
};

/// What is generated, to show parts of it.
pub(super) struct Code<'a> {
    pub(super) packages: &'a [Package<'a>],
}

impl Code<'_> {
    /// The text of a type, or of one of its fields or variants.
    pub(super) fn item(&self, path: &TypePath, part: Option<&str>) -> String {
        let TypePath::Local { modules, name } = path else {
            return String::from("none: it is not generated, but exists");
        };
        let ident = identifier(name);
        let mut items = self.items(modules).unwrap_or_default().iter();
        let found = items.find(|item| match item {
            Item::Enum(item) => item.ident == ident,
            Item::Struct(item) => item.ident == ident,
            _ => false,
        });
        match (found, part) {
            (None, _) => String::from("none, by the option messages"),
            (Some(item), None) => lines(item.clone()),
            (Some(item), Some(part)) => inner_lines(with_only(item.clone(), part)),
        }
    }

    /// What a module has.
    fn items(&self, modules: &[String]) -> Option<&[Item]> {
        let of_package = |package: &&Package<'_>| modules.starts_with(&module_of(&package.name));
        let packages = self.packages.iter().filter(of_package);
        let package = packages.max_by_key(|package| module_of(&package.name).len())?;
        let mut items = package.code.items.as_slice();
        for module in &modules[module_of(&package.name).len()..] {
            let ident = identifier(module);
            items = items.iter().find_map(|item| match item {
                Item::Mod(item) if item.ident == ident => Some(item.content.as_ref()?.1.as_slice()),
                _ => None,
            })?;
        }
        Some(items)
    }

    /// The trait of a service: services have the only traits, in their order.
    pub(super) fn service(
        &self,
        schema: &Schema,
        file: &File,
        service: &Service,
    ) -> Option<&syn::ItemTrait> {
        let files = schema
            .files
            .iter()
            .filter(|other| other.wanted && other.package == file.package);
        let mut services = files.flat_map(|file| &file.services);
        let index = services.position(|other| std::ptr::eq(other, service))?;
        let traits = self.items(&module_of(&file.package))?.iter();
        let mut traits = traits.filter_map(|item| match item {
            Item::Trait(item) => Some(item),
            _ => None,
        });
        traits.nth(index)
    }
}

/// A type with one field or variant.
fn with_only(mut item: Item, part: &str) -> Item {
    match &mut item {
        Item::Struct(item) => {
            if let Fields::Named(fields) = &mut item.fields {
                let all = std::mem::take(&mut fields.named).into_iter();
                let is_it =
                    |field: &syn::Field| field.ident.as_ref().is_some_and(|name| name == part);
                fields.named = all.filter(is_it).collect();
            }
        }
        Item::Enum(item) => {
            let all = std::mem::take(&mut item.variants).into_iter();
            item.variants = all.filter(|variant| variant.ident == part).collect();
        }
        _ => {}
    }
    item
}

/// An item's text without documentation and lints.
fn lines(item: Item) -> String {
    let text = print::file(&syn::File {
        shebang: None,
        attrs: Vec::new(),
        items: vec![item],
    });
    let kept = text.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("///") && !line.starts_with("#[allow(")
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The same of what is between its braces.
pub(super) fn inner_lines(item: Item) -> String {
    let text = lines(item);
    let inner = text.lines().skip_while(|line| !line.ends_with('{')).skip(1);
    let inner: Vec<_> = inner.take_while(|line| *line != "}").collect();
    let inner = inner
        .iter()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    inner.collect::<Vec<_>>().join("\n")
}
