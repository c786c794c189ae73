//! CPU time of another process.

use std::{fs, io, time::Duration};

/// The CPU time that all threads of a process have used, in user and kernel mode, to the nanosecond.
///
/// # Errors
///
/// When `/proc` does not tell.
pub fn time_of(pid: u32) -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
        let nanos = nanos.ok_or_else(|| io::Error::other("schedstat has no time"))?;
        total += Duration::from_nanos(nanos);
    }
    Ok(total)
}
