//! What somebody may have meant by a name that is none.

/// The name that is most like this one, if any is much like it.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let most = name.chars().count() / 3 + 1;
    let scored = names.into_iter().filter_map(|other| {
        // The same name elsewhere is as good as can be without being near.
        let elsewhere = || (last(other) == last(name)).then_some(most);
        let found = distance(name, other, most).or_else(elsewhere)?;
        Some((found, other))
    });
    scored.min().map(|(_, other)| other)
}

/// How many letters must be put in, left out or changed, whatever their case, if no more than `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let [a, b] = [a, b].map(|name| name.to_lowercase().chars().collect::<Vec<_>>());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (column, other) in b.iter().enumerate() {
            let changed = before + usize::from(letter != other);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    Some(row[b.len()]).filter(|found| *found <= most)
}
