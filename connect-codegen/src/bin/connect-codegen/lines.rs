//! The difference of two texts, as `diff -u` has it.

use std::fmt::Write as _;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

/// The hunks of a unified diff, with three lines around each change.
pub(crate) fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (lines(old), lines(new));
    let edits = edits(&old, &new);
    let mut out = String::new();
    // Lines of either text before the edit that is looked at.
    let (mut from, mut to, mut at) = (0, 0, 0);
    while at < edits.len() {
        let Some(start) = edits[at..].iter().position(|edit| *edit != Edit::Keep) else {
            break;
        };
        let before = start.min(CONTEXT);
        let skipped = start - before;
        (from, to, at) = (from + skipped, to + skipped, at + skipped);
        let end = at + hunk_len(&edits[at..]);
        let count = |not: Edit| edits[at..end].iter().filter(|edit| **edit != not).count();
        let (old_len, new_len) = (count(Edit::Add), count(Edit::Remove));
        let place = |start: usize, len: usize| format!("{},{len}", start + usize::from(len > 0));
        let _ = writeln!(
            out,
            "@@ -{} +{} @@",
            place(from, old_len),
            place(to, new_len)
        );
        for edit in &edits[at..end] {
            let (sign, line) = match edit {
                Edit::Keep => (' ', old[from]),
                Edit::Remove => ('-', old[from]),
                Edit::Add => ('+', new[to]),
            };
            from += usize::from(*edit != Edit::Add);
            to += usize::from(*edit != Edit::Remove);
            let _ = write!(out, "{sign}{line}");
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
        at = end;
    }
    out
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// How many edits the hunk has that these begin with: up to the lines behind the last change before so
/// many kept lines that the next hunk needs none of them.
fn hunk_len(edits: &[Edit]) -> usize {
    let (mut kept, mut end) = (0, 0);
    for (at, edit) in edits.iter().enumerate() {
        if *edit == Edit::Keep {
            kept += 1;
            if end > 0 && kept > 2 * CONTEXT {
                break;
            }
        } else {
            (kept, end) = (0, at + 1);
        }
    }
    (end + CONTEXT).min(edits.len())
}

fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[before..], &new[before..]);
    let behind = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(same)
        .count();
    let (old, new) = (&old[..old.len() - behind], &new[..new.len() - behind]);
    let middle = shortest(old, new).unwrap_or_else(|| {
        let removed = old.iter().map(|_| Edit::Remove);
        removed.chain(new.iter().map(|_| Edit::Add)).collect()
    });
    let mut out = vec![Edit::Keep; before];
    out.extend(middle);
    out.extend(vec![Edit::Keep; behind]);
    out
}

/// The shortest list of edits, by Myers' "An O(ND) Difference Algorithm and Its Variations"; `None` if
/// it is long: who reads it then reads the new text.
fn shortest(old: &[&str], new: &[&str]) -> Option<Vec<Edit>> {
    let most = (old.len() + new.len()).min(MOST_EDITS);
    // A diagonal `k` is at `k + middle`; of each, how much of `old` its furthest path has behind it.
    let middle = most + 1;
    let mut ends = vec![0_usize; 2 * middle + 1];
    let mut trace = Vec::new();
    for count in 0..=most {
        trace.push(ends[middle - count..=middle + count].to_vec());
        for at in (middle - count..=middle + count).step_by(2) {
            let down = goes_down(&ends, at, middle, count);
            let mut x = if down { ends[at + 1] } else { ends[at - 1] + 1 };
            let mut y = x + middle - at;
            while x < old.len() && y < new.len() && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            ends[at] = x;
            if x >= old.len() && y >= new.len() {
                return Some(backtrack(&trace, old.len(), new.len()));
            }
        }
    }
    None
}

/// Whether the path to a diagonal adds a line last, and does not remove one.
fn goes_down(ends: &[usize], at: usize, middle: usize, count: usize) -> bool {
    at == middle - count || at != middle + count && ends[at - 1] < ends[at + 1]
}

fn backtrack(trace: &[Vec<usize>], old: usize, new: usize) -> Vec<Edit> {
    let mut out = Vec::new();
    let (mut x, mut y) = (old, new);
    for (count, ends) in trace.iter().enumerate().rev() {
        // These are the diagonals from `-count` on, of the paths with one edit less.
        let at = x + count - y;
        let down = count > 0 && goes_down(ends, at, count, count);
        let (from_x, from_y) = match (count, down) {
            (0, _) => (0, 0),
            (_, true) => (ends[at + 1], ends[at + 1] + count - (at + 1)),
            (_, false) => (ends[at - 1], ends[at - 1] + count - (at - 1)),
        };
        while x > from_x && y > from_y {
            out.push(Edit::Keep);
            (x, y) = (x - 1, y - 1);
        }
        if count > 0 {
            out.push(if down { Edit::Add } else { Edit::Remove });
            (x, y) = (from_x, from_y);
        }
    }
    out.reverse();
    out
}

/// Lines around a change.
const CONTEXT: usize = 3;
/// Beyond, all is removed and added: the time and memory of the search grow with the square.
const MOST_EDITS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a diff makes of a text, as `patch` reads it.
    fn patched(old: &str, diff: &str) -> String {
        let (old, mut at, mut out) = (lines(old), 0, String::new());
        for line in lines(diff) {
            if let Some(head) = line.strip_prefix("@@ -") {
                let (start, rest) = head.split_once(',').unwrap();
                let (start, len): (usize, &str) = (start.parse().unwrap(), &rest[..1]);
                let start = if len == "0" { start } else { start - 1 };
                out.push_str(&old[at..start].concat());
                at = start;
            } else if line.starts_with('\\') {
                assert_eq!(out.pop(), Some('\n'));
            } else if let Some(kept) = line.strip_prefix(' ') {
                assert_eq!(kept, old[at]);
                out.push_str(kept);
                at += 1;
            } else if let Some(removed) = line.strip_prefix('-') {
                assert_eq!(removed, old[at]);
                at += 1;
            } else {
                out.push_str(line.strip_prefix('+').unwrap());
            }
        }
        out.push_str(&old[at..].concat());
        out
    }

    #[test]
    fn a_diff_makes_the_new_text_of_the_old() {
        // All texts of up to six lines of three kinds, against each other in part.
        let text = |mut number: usize| {
            let mut out = String::new();
            while number > 0 {
                out.push_str(["a\n", "b\n", "c\n"][number % 3]);
                number /= 3;
            }
            out
        };
        for (old, new) in (0..729).flat_map(|old| (0..729).step_by(7).map(move |new| (old, new))) {
            let (old, new) = (text(old), text(new));
            assert_eq!(patched(&old, &unified(&old, &new)), new);
        }
    }

    #[test]
    fn a_diff_is_short() {
        let old: Vec<_> = (0..4000).map(|line| format!("{line}\n")).collect();
        let mut new = old.clone();
        new[10] = String::from("changed\n");
        new.remove(17);
        new.insert(3000, String::from("more\n"));
        let (old, new) = (old.concat(), new.concat());
        let diff = unified(&old, &new);
        assert_eq!(patched(&old, &diff), new);
        let heads: Vec<_> = diff.lines().filter(|line| line.starts_with('@')).collect();
        // Six lines between two changes are around both, more are around one each.
        assert_eq!(heads, ["@@ -8,14 +8,13 @@", "@@ -2999,6 +2998,7 @@"]);
        // Beyond what is looked for, it is long, but a diff.
        let other: String = (0..4000).map(|line| format!("other {line}\n")).collect();
        assert_eq!(patched(&old, &unified(&old, &other)), other);
    }
}
