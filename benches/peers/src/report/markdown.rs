//! A table for each runtime.

use std::{fs, time::SystemTime};

use crate::{
    figures::{Figures, Ratio},
    scenario::Scenario,
    servers::{Library, Runtime, Server},
};

/// All tables, each under its heading.
#[must_use]
pub fn tables(figures: &Figures) -> String {
    Runtime::ALL.map(|runtime| table(figures, runtime)).concat()
}

/// When and where the figures were measured.
pub(super) fn about(figures: &Figures) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rounds = figures.rounds();
    let date = date();
    format!(
        "Measured on {date}: {model}, Linux {}, medians of {rounds} rounds.\n",
        kernel.trim(),
    )
}

fn table(figures: &Figures, runtime: Runtime) -> String {
    let servers: Vec<Server> = Server::all()
        .into_iter()
        .filter(|server| server.runtime == runtime)
        .collect();
    let ours = Server {
        library: Library::Ours,
        runtime,
    };
    let rival = match runtime {
        Runtime::Multi | Runtime::Current => "to the better peer",
        Runtime::Smol => "to hyper",
        Runtime::Workers => "to the multi-thread runtime",
    };
    let mut text = format!("### {}\n\n|", runtime.title());
    for server in &servers {
        text += &format!(" | {}", server.library_name());
    }
    text += &format!(" | {} {rival} |\n|---|", ours.library_name());
    text.push_str(&"---:|".repeat(servers.len() + 1));
    text.push('\n');
    for scenario in figures.scenarios() {
        text += &format!("| {}, {}", scenario.name, scenario.unit());
        for &server in &servers {
            let cell = figures.median(scenario, server);
            text += &format!(" | {}", cell.map_or_else(missing, digits));
        }
        let ratio = ratio(figures, scenario, ours);
        text += &format!(" | {} |\n", ratio.map_or_else(missing, spread));
    }
    text.push('\n');
    text
}

/// What this project costs, to what it is compared with.
pub(super) fn ratio(figures: &Figures, scenario: Scenario, ours: Server) -> Option<Ratio> {
    let rival = figures.rival(scenario, ours.runtime)?;
    figures.ratio(scenario, ours, rival)
}

fn spread(ratio: Ratio) -> String {
    let Ratio { median, min, max } = ratio;
    format!("**{median:.2}** ({min:.2} to {max:.2})")
}

/// Three digits, more of what is larger.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn missing() -> String {
    "-".to_owned()
}

/// Today, as `2026-11-28`.
fn date() -> String {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut days = since_epoch.as_secs() / 86_400;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}
