//! A line on stderr that says how far it is, for who waits long.

use std::{
    io::{IsTerminal as _, Write, stderr},
    sync::Mutex,
    time::{Duration, Instant},
};

use connect_codegen::{Progress, Stage};

/// What reports to stderr, if that is a terminal.
pub(crate) fn on_stderr() -> Option<impl Fn(Progress) + Send + Sync + 'static> {
    if !stderr().is_terminal() {
        return None;
    }
    let started = Instant::now();
    let line = Mutex::new(Line::new(stderr()));
    Some(move |progress| {
        if let Ok(mut line) = line.lock() {
            line.show(started.elapsed(), progress);
        }
    })
}

/// The line. It is taken away when it is dropped, or all is done.
struct Line<W: Write> {
    out: W,
    /// When it was drawn last, from the start.
    drawn: Option<Duration>,
}

impl<W: Write> Line<W> {
    fn new(out: W) -> Self {
        Self { out, drawn: None }
    }

    /// Draws it, `now` after the start. What cannot be drawn is not missed.
    fn show(&mut self, now: Duration, progress: Progress) {
        let Progress { stage, done, total } = progress;
        let next = self.drawn.map_or(PATIENCE, |drawn| drawn + INTERVAL);
        if now < next {
            return;
        }
        let what = match stage {
            Stage::Read => "read",
            Stage::Generated => "generated",
        };
        let _ = write!(self.out, "\r\x1b[K{what} {done} of {total} files");
        let _ = self.out.flush();
        self.drawn = Some(now);
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(self.out, "\r\x1b[K");
        }
    }
}

/// How long nobody minds to see nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a line stands before it is drawn anew.
const INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(times: &[(u64, usize)]) -> String {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        for (millis, done) in times {
            let progress = Progress {
                stage: Stage::Read,
                done: *done,
                total: 9,
            };
            line.show(Duration::from_millis(*millis), progress);
        }
        drop(line);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_is_shown_in_the_first_two_seconds() {
        assert_eq!(shown(&[(0, 1), (1000, 2), (1999, 9)]), "");
    }

    #[test]
    fn the_line_is_drawn_ten_times_a_second_and_taken_away() {
        let clear = "\r\x1b[K";
        assert_eq!(
            shown(&[(1999, 1), (2000, 2), (2050, 3), (2100, 4), (9000, 9)]),
            format!(
                "{clear}read 2 of 9 files{clear}read 4 of 9 files{clear}read 9 of 9 files{clear}"
            )
        );
    }
}
