//! All measurements, for other programs.

use std::fmt::Write;

use crate::figures::Figures;

pub(super) fn csv(figures: &Figures) -> String {
    let mut text = String::from("scenario,server,round,value,unit\n");
    for sample in figures.samples() {
        let (scenario, server) = (sample.scenario, sample.server);
        let (name, unit) = (scenario.name, scenario.unit());
        let (round, value) = (sample.round, sample.value);
        writeln!(text, "\"{name}\",{server},{round},{value:.4},{unit}").expect("a string grows");
    }
    text
}
