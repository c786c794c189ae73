//! What callgrind writes, read: instructions of each layer.

use std::collections::HashMap;

/// Instructions by the layer whose code they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    layers: HashMap<String, f64>,
}

impl Profile {
    /// Reads callgrind's output. An instruction belongs to the crate whose file it comes from, also where it was inlined
    /// elsewhere; one of the standard library's to the crate that is first in the name of its function.
    #[must_use]
    pub(crate) fn read(text: &str) -> Self {
        let mut profile = Self::default();
        let (mut objects, mut files, mut functions) =
            (Names::default(), Names::default(), Names::default());
        let (mut object, mut file, mut function) = (String::new(), String::new(), String::new());
        let mut is_call = false;
        for line in text.lines() {
            match line.split_once('=') {
                Some(("ob", name)) => object = objects.full(name),
                Some(("fl" | "fi" | "fe", name)) => file = files.full(name),
                Some(("fn", name)) => function = functions.full(name),
                Some(("cob", name)) => drop(objects.full(name)),
                Some(("cfi" | "cfl", name)) => drop(files.full(name)),
                Some(("cfn", name)) => drop(functions.full(name)),
                Some(("calls", _)) => is_call = true,
                _ if line.starts_with(|it: char| it.is_ascii_digit() || "+-*".contains(it)) => {
                    // What follows a call is the cost of the callee.
                    if std::mem::take(&mut is_call) {
                        continue;
                    }
                    let cost = line.split(' ').nth(1).and_then(|it| it.parse::<f64>().ok());
                    let layer = layer(&file, &function, &object);
                    *profile.layers.entry(layer).or_default() += cost.unwrap_or_default();
                }
                _ => {}
            }
        }
        profile
    }

    /// What `count` calls have more than these.
    #[must_use]
    pub(crate) fn less(mut self, other: &Self, count: usize) -> Self {
        for (layer, cost) in &other.layers {
            *self.layers.entry(layer.clone()).or_default() -= cost;
        }
        for cost in self.layers.values_mut() {
            *cost /= count as f64;
        }
        self
    }

    /// Of the layers that `belongs` says, together.
    pub(crate) fn sum(&self, belongs: impl Fn(&str) -> bool) -> f64 {
        let layers = self.layers.iter();
        layers
            .filter(|(name, _)| belongs(name))
            .map(|(_, cost)| cost)
            .sum()
    }
}

/// Names that are written once, behind a number, and then by the number alone.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn full(&mut self, text: &str) -> String {
        match text.split_once(' ') {
            Some((number, name)) => {
                self.0.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
            None => self.0.get(text).cloned().unwrap_or_default(),
        }
    }
}

fn layer(file: &str, function: &str, object: &str) -> String {
    crate_of_file(file)
        .or_else(|| crate_of_function(function))
        .unwrap_or_else(|| match function {
            _ if !object.contains("/libc.") => "std".to_owned(),
            _ if function.contains("mem") => "memcpy".to_owned(),
            _ if ["alloc", "free", "tcache", "arena", "chunk", "consolidate"]
                .iter()
                .any(|it| function.contains(it)) =>
            {
                "malloc".to_owned()
            }
            _ => "libc".to_owned(),
        })
}

/// `../registry/src/REGISTRY/NAME-VERSION/src/..`, or a folder of this repository.
fn crate_of_file(file: &str) -> Option<String> {
    if let Some((_, path)) = file.split_once("/registry/src/") {
        let folder = path.split('/').nth(1)?;
        let (name, _) = folder.rsplit_once('-')?;
        return Some(name.to_owned());
    }
    let mut folders = file.split('/');
    folders
        .find(|it| it.starts_with("connect-") || *it == "peers")
        .map(str::to_owned)
}

/// The first name that is a crate of ours or of HTTP's.
fn crate_of_function(function: &str) -> Option<String> {
    let names = function.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_' || it == ':'));
    let mut crates = names
        .filter_map(|path| path.split_once("::"))
        .map(|(name, _)| name);
    let known = crates.find(|it| !matches!(*it, "core" | "alloc" | "std" | "" | "hashbrown"))?;
    Some(known.replace('_', "-"))
}
