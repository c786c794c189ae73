//! One walk over prost's output for a package: puts the JSON beside each type, gives nested modules
//! the name through which they reach other crates, and documents what the file does not.

use std::collections::HashMap;

use syn::{Block, Expr, ExprLit, Ident, ImplItem, Item, ItemImpl, ItemMod, Lit, Stmt};

use crate::{
    Config, Error, docs,
    json::{self, Oneofs, ProstAttr},
    model::Model,
    names,
};

/// What the walk needs, and what it finds.
pub(crate) struct Transform<'a> {
    config: &'a Config,
    model: &'a Model<'a>,
    messages: Vec<syn::Path>,
}

impl<'a> Transform<'a> {
    pub(crate) fn new(config: &'a Config, model: &'a Model<'a>) -> Self {
        Self {
            config,
            model,
            messages: Vec::new(),
        }
    }

    /// Rewrites the items of a package.
    pub(crate) fn package(&mut self, items: Vec<Item>, package: &str) -> Result<Vec<Item>, Error> {
        self.items(items, package, &[])
    }

    /// The Rust paths of all messages, as seen from the package's module.
    pub(crate) fn messages(&self) -> &[syn::Path] {
        &self.messages
    }

    /// `path` is how the package's module reaches these items.
    fn items(&mut self, items: Vec<Item>, scope: &str, path: &[Ident]) -> Result<Vec<Item>, Error> {
        let found = Found::new(&items);
        let mut out = Vec::with_capacity(items.len() * 3);
        for mut item in items {
            let added = match &mut item {
                Item::Struct(item) => self.message(item, &found, path)?,
                Item::Enum(item) => self.enumeration(item, &found, scope)?,
                Item::Mod(item) => {
                    self.module(item, scope, path)?;
                    Vec::new()
                }
                _ => Vec::new(),
            };
            docs::tidy_item(&mut item);
            out.push(item);
            out.extend(added);
        }
        Ok(out)
    }

    fn message(
        &mut self,
        item: &mut syn::ItemStruct,
        found: &Found,
        path: &[Ident],
    ) -> Result<Vec<Item>, Error> {
        // What has no name is no message: the server and client of a service.
        let Some(full_name) = found.messages.get(&item.ident) else {
            return Ok(Vec::new());
        };
        let descriptor = self.model.message(full_name);
        let descriptor = descriptor.ok_or_else(|| Error::new(format!("unknown {full_name}")))?;
        docs::document_message(item, full_name, descriptor);
        derive_own_debug(item);
        let ident = &item.ident;
        self.messages.push(syn::parse_quote!(#(#path::)*#ident));
        if !self.config.json {
            return Ok(Vec::new());
        }
        json::message(item, full_name, descriptor, self.model, &found.oneofs)
    }

    fn enumeration(
        &self,
        item: &mut syn::ItemEnum,
        found: &Found,
        scope: &str,
    ) -> Result<Vec<Item>, Error> {
        let Some(first_value) = found.enums.get(&item.ident) else {
            docs::document_oneof(item, self.model.message(scope));
            return Ok(Vec::new());
        };
        let info = self.model.enumeration(scope, first_value);
        let info = info.ok_or_else(|| Error::new(format!("unknown enum {}", item.ident)))?;
        docs::document_enum(item, &info.full_name, info.descriptor);
        if !self.config.json {
            return Ok(Vec::new());
        }
        Ok(vec![json::enumeration(
            item,
            &info.full_name,
            info.descriptor,
        )])
    }

    fn module(&mut self, item: &mut ItemMod, scope: &str, path: &[Ident]) -> Result<(), Error> {
        let Some(inner) = self.model.module(scope, &item.ident.to_string()) else {
            return Ok(());
        };
        let inner = inner.to_owned();
        let Some((brace, items)) = item.content.take() else {
            return Ok(());
        };
        let path: Vec<_> = path.iter().chain([&item.ident]).cloned().collect();
        let mut content = vec![names::import_from_parent()];
        content.extend(self.items(items, &inner, &path)?);
        item.content = Some((brace, content));
        Ok(())
    }
}

/// prost's `Debug` of a `BTreeMap` names the crate `prost` as if the user had it, whatever
/// `prost_path` says (prost-derive 0.14.6). Rust's own does without.
fn derive_own_debug(item: &mut syn::ItemStruct) {
    let has_btree_map = |field: &syn::Field| ProstAttr::of(&field.attrs).btree_map;
    if item.fields.iter().any(has_btree_map) {
        item.attrs
            .push(syn::parse_quote!(#[derive(::core::fmt::Debug)]));
        item.attrs.push(syn::parse_quote!(#[prost(skip_debug)]));
    }
}

/// What the items of a module say about each other.
struct Found {
    /// The full names of messages, from their `prost::Name`.
    messages: HashMap<Ident, String>,
    /// The names of the first values of enums, from their `as_str_name`.
    enums: HashMap<Ident, String>,
    oneofs: Oneofs,
}

impl Found {
    fn new(items: &[Item]) -> Self {
        let mut messages = HashMap::new();
        let mut enums = HashMap::new();
        for item in items {
            let Item::Impl(item) = item else { continue };
            let Some(ident) = self_type(item) else {
                continue;
            };
            if let Some(text) = method(item, "full_name").and_then(first_string) {
                messages.insert(ident, text);
            } else if let Some(text) = method(item, "as_str_name").and_then(first_string) {
                enums.insert(ident, text);
            }
        }
        Self {
            messages,
            enums,
            oneofs: Oneofs::new(items),
        }
    }
}

fn self_type(item: &ItemImpl) -> Option<Ident> {
    match &*item.self_ty {
        syn::Type::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    }
}

fn method<'a>(item: &'a ItemImpl, name: &str) -> Option<&'a Block> {
    item.items.iter().find_map(|item| match item {
        ImplItem::Fn(method) if method.sig.ident == name => Some(&method.block),
        _ => None,
    })
}

/// The first string in `{ "text".into() }` or `{ match self { Self::A => "text", … } }`.
fn first_string(block: &Block) -> Option<String> {
    let Some(Stmt::Expr(expr, _)) = block.stmts.first() else {
        return None;
    };
    let literal = match expr {
        Expr::MethodCall(call) => &*call.receiver,
        Expr::Match(expr) => &*expr.arms.first()?.body,
        _ => return None,
    };
    match literal {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}
