//! What was measured, as ratios to the better peer.

use super::{Library, Runtime, process::Taken, scenario::Scenario};

/// What the rounds took of one library.
#[derive(Debug)]
pub struct Measured {
    /// Which one it is.
    pub library: Library,
    /// A figure for each round.
    pub rounds: Vec<Taken>,
}

/// The heads of the columns, as lines of Markdown.
#[must_use]
pub fn head() -> String {
    String::from(
        "| runtime | calls | client | CPU, us a call | ratio | least to most | calls/s | ratio |\n\
         |---|---|---|---|---|---|---|---|",
    )
}

/// A line for each client. The ratios are medians over the rounds, of figures of the same round: what disturbs one disturbs
/// all. They are to the peer whose median is the best.
#[must_use]
pub fn rows(runtime: Runtime, scenario: &Scenario, measured: &[Measured]) -> Vec<String> {
    let peers = || measured.iter().filter(|it| it.library.is_peer());
    let best_cpu = peers().min_by(|a, b| a.median(cpu).total_cmp(&b.median(cpu)));
    let best_rate = peers().max_by(|a, b| a.median(rate).total_cmp(&b.median(rate)));
    let (Some(best_cpu), Some(best_rate)) = (best_cpu, best_rate) else {
        return Vec::new();
    };
    let row = |it: &Measured| {
        let cpus = it.ratios(best_cpu, cpu);
        let rates = it.ratios(best_rate, rate);
        format!(
            "| {runtime} | {} | {} | {:.1} | {:.2} | {:.2} to {:.2} | {:.0} | {:.2} |",
            scenario.name,
            it.library,
            it.median(cpu),
            median(&cpus),
            cpus[0],
            cpus[cpus.len() - 1],
            it.median(rate),
            median(&rates),
        )
    };
    measured.iter().map(row).collect()
}

impl Measured {
    fn median(&self, figure: impl Fn(&Taken) -> f64) -> f64 {
        median(&sorted(self.rounds.iter().map(figure)))
    }

    fn ratios(&self, other: &Self, figure: impl Fn(&Taken) -> f64) -> Vec<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        sorted(pairs.map(|(own, other)| figure(own) / figure(other)))
    }
}

fn cpu(taken: &Taken) -> f64 {
    taken.cpu.as_secs_f64() * 1e6
}

fn rate(taken: &Taken) -> f64 {
    taken.rate
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
