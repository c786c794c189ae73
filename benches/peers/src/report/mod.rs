//! Figures in, Markdown, charts and data out.

mod chart;
mod data;
mod markdown;

use std::{fs, path::Path};

pub use self::markdown::tables;
use crate::{Failure, figures::Figures, servers::Runtime};

/// Where the figures stand in the chapter: between these lines, which stay.
const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->\n";

/// Writes the figures into `performance.md` of the guide, and beside it, into `performance/`, a chart for each runtime and
/// the data.
///
/// # Errors
///
/// When the chapter has no place for the figures, or a file cannot be written.
pub fn write(guide: &Path, figures: &Figures) -> Result<(), Failure> {
    let chapter = guide.join("performance.md");
    let text = fs::read_to_string(&chapter)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("no place for the figures")?;
    let (_, after) = rest.split_once(END).ok_or("the figures have no end")?;
    let folder = guide.join("performance");
    fs::create_dir_all(&folder)?;
    let mut charts = String::new();
    for runtime in Runtime::ALL {
        let name = format!("{}.svg", runtime.name());
        fs::write(folder.join(&name), chart::svg(figures, runtime))?;
        charts.push_str(&format!("![{}](performance/{name})\n\n", runtime.title()));
    }
    fs::write(folder.join("figures.csv"), data::csv(figures))?;
    let about = markdown::about(figures);
    let tables = tables(figures);
    let data = "All measurements: [`figures.csv`](performance/figures.csv).\n\n";
    let text = format!("{before}{BEGIN}\n{about}\n{charts}{tables}{data}{END}{after}");
    fs::write(chapter, text)?;
    Ok(())
}
