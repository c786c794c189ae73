//! A chart for each runtime: bars, plain SVG.

use super::markdown::digits;
use crate::{
    figures::Figures,
    scenario::Scenario,
    servers::{Library, Runtime, Server},
};

// In the units of the picture.
const LABELS: f64 = 300.0;
const BARS: f64 = 420.0;
const RIGHT: f64 = 70.0;
const BAR: f64 = 11.0;
const GAP: f64 = 10.0;
const TOP: f64 = 56.0;

/// Bars end at this ratio, with a mark.
const LONGEST: f64 = 2.5;

/// The servers of a runtime for every scenario, each as a ratio to what this project is compared with, which is 1.
pub(super) fn svg(figures: &Figures, runtime: Runtime) -> String {
    let servers: Vec<Server> = Server::all()
        .into_iter()
        .filter(|server| server.runtime == runtime && shown(*server))
        .collect();
    let mut body = String::new();
    let mut y = TOP;
    for scenario in figures.scenarios() {
        let Some(rival) = figures.rival(scenario, runtime) else {
            continue;
        };
        let begin = y;
        for &server in &servers {
            if let Some(bar) = bar(figures, scenario, server, rival, y) {
                body += &bar;
                y += BAR;
            }
        }
        let middle = begin + (y - begin) / 2.0 + 4.0;
        let x = LABELS - 8.0;
        let name = scenario.name;
        body += &format!("<text x=\"{x}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>\n");
        y += GAP;
    }
    let (width, height) = (LABELS + BARS + RIGHT, y + 8.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}: server CPU time, less is better</text>\n",
        runtime.title(),
    );
    svg += &legend(&servers, runtime);
    svg += &body;
    // The line that everything is compared with.
    let one = LABELS + BARS / LONGEST;
    let top = TOP - 4.0;
    svg += &format!(
        "<line x1=\"{one}\" y1=\"{top}\" x2=\"{one}\" y2=\"{y}\" stroke=\"#333\" stroke-dasharray=\"3 3\"/>\n</svg>\n"
    );
    svg
}

/// hyper alone does less than the others; only on smol is there nothing else.
fn shown(server: Server) -> bool {
    server.library != Library::Hyper || server.runtime == Runtime::Smol
}

fn bar(
    figures: &Figures,
    scenario: Scenario,
    server: Server,
    rival: Server,
    y: f64,
) -> Option<String> {
    let ratio = figures.ratio(scenario, server, rival)?;
    let value = digits(figures.median(scenario, server)?);
    let unit = scenario.unit();
    let scale = |ratio: f64| LABELS + BARS * ratio.min(LONGEST) / LONGEST;
    let (end, height, colour) = (scale(ratio.median), BAR - 1.0, colour(server.library));
    let (low, high) = (scale(ratio.min), scale(ratio.max));
    let (middle, length) = (y + height / 2.0, end - LABELS);
    let (text_x, text_y) = (end.max(high) + 5.0, y + 9.0);
    let cut = if ratio.median > LONGEST { "» " } else { "" };
    Some(format!(
        "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{colour}\"/>\n\
         <line x1=\"{low:.1}\" y1=\"{middle}\" x2=\"{high:.1}\" y2=\"{middle}\" stroke=\"#333\"/>\n\
         <text x=\"{text_x:.1}\" y=\"{text_y}\" font-size=\"9\">{cut}{value} {unit}</text>\n"
    ))
}

fn legend(servers: &[Server], runtime: Runtime) -> String {
    let mut text = String::new();
    let mut x = LABELS;
    for server in servers {
        let (colour, name, label) = (colour(server.library), server.library_name(), x + 14.0);
        text += &format!(
            "<rect x=\"{x}\" y=\"30\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{label}\" y=\"39\">{name}</text>\n"
        );
        x += 110.0;
    }
    let one = match runtime {
        Runtime::Multi | Runtime::Current => "the line: the better peer",
        Runtime::Smol => "the line: hyper",
        Runtime::Workers => "the line: the multi-thread runtime",
    };
    text += &format!("<text x=\"8\" y=\"39\" fill=\"#555\">{one}; thin: least to most</text>\n");
    text
}

fn colour(library: Library) -> &'static str {
    match library {
        Library::Hyper => "#9e9e9e",
        Library::Ours => "#1565c0",
        Library::Connectrpc => "#ef9a4d",
        Library::Tonic => "#81a784",
    }
}
