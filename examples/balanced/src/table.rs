//! The table of `watch`.

use crate::{
    fleet::{Fleet, SIZE},
    load::Counts,
};

/// Shows a line for each step: what each server has answered since the last.
#[derive(Default)]
pub(crate) struct Table {
    last: Option<Counts>,
}

impl Table {
    pub(crate) fn show(&mut self, fleet: &Fleet, counts: &Counts) {
        let last = self.last.get_or_insert_with(|| {
            println!("   server 0    server 1    server 2      failed");
            Counts::default()
        });
        let mut line = String::new();
        for index in 0..SIZE {
            let answered = counts.answered[index] - last.answered[index];
            let mark = if fleet.is_up(index) { ' ' } else { '✗' };
            line += &format!("{answered:>10}{mark} ");
        }
        let failed = counts.all_failed() - last.all_failed();
        println!("{line}{failed:>11}");
        *last = counts.clone();
    }
}
