//! What was measured, and what it comes to.

use crate::{
    scenario::Scenario,
    servers::{Library, Runtime, Server},
};

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What was measured.
    pub scenario: Scenario,
    /// Of whom.
    pub server: Server,
    /// In which round.
    pub round: usize,
    /// In the scenario's unit, for one of what it counts.
    pub value: f64,
}

/// All measurements of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    samples: Vec<Sample>,
}

/// A ratio over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Half of the rounds have less.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Figures {
    /// Adds a measurement.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// All of them, in the order of the run.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// How many rounds there were.
    #[must_use]
    pub fn rounds(&self) -> usize {
        let rounds = self.samples.iter().map(|sample| sample.round);
        rounds.max().unwrap_or_default()
    }

    /// The scenarios that were measured, in order.
    #[must_use]
    pub fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = Vec::new();
        for sample in &self.samples {
            if !scenarios.contains(&sample.scenario) {
                scenarios.push(sample.scenario);
            }
        }
        scenarios
    }

    /// The middle of a server's figures.
    #[must_use]
    pub fn median(&self, scenario: Scenario, server: Server) -> Option<f64> {
        median(
            self.of(scenario, server)
                .map(|sample| sample.value)
                .collect(),
        )
    }

    /// What a server costs, as a ratio to another in the same round: what disturbs a round disturbs both.
    #[must_use]
    pub fn ratio(&self, scenario: Scenario, server: Server, to: Server) -> Option<Ratio> {
        let ratios = self.of(scenario, server).filter_map(|sample| {
            let mut others = self.of(scenario, to);
            let other = others.find(|other| other.round == sample.round)?;
            Some(sample.value / other.value)
        });
        let ratios: Vec<f64> = ratios.collect();
        Some(Ratio {
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios)?,
        })
    }

    /// What this project is compared with: the better of the peers on the same runtime, or hyper where there is none; its workers
    /// with its own default.
    #[must_use]
    pub fn rival(&self, scenario: Scenario, runtime: Runtime) -> Option<Server> {
        let (rivals, runtime) = match runtime {
            Runtime::Multi | Runtime::Current => {
                (&[Library::Connectrpc, Library::Tonic][..], runtime)
            }
            Runtime::Smol => (&[Library::Hyper][..], runtime),
            Runtime::Workers => (&[Library::Ours][..], Runtime::Multi),
        };
        let rivals = rivals.iter().filter_map(|&library| {
            let server = Server { library, runtime };
            Some((server, self.median(scenario, server)?))
        });
        let best = rivals.min_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map(|(server, _)| server)
    }

    fn of(&self, scenario: Scenario, server: Server) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter();
        samples.filter(move |sample| sample.scenario == scenario && sample.server == server)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[middle - 1], upper))
}
