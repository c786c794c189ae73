//! A server's process: started, looked at, stopped.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Failure, servers::Server};

/// The processor of the servers, when they have one of their own.
const PROCESSOR: &str = "0";

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    /// Starts a server by the program `serve`, on a processor of its own if it is to be `pinned`.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or does not print its address.
    pub fn start(program: &Path, server: Server, pinned: bool) -> Result<Self, Failure> {
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", PROCESSOR]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let command = command.arg(server.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let addr = line.trim().parse()?;
        Ok(Self { child, addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The CPU time that all its threads have used, in user and kernel mode, to the nanosecond.
    ///
    /// # Errors
    ///
    /// When `/proc` does not tell.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
            let nanos = nanos.ok_or_else(|| io::Error::other("schedstat has no time"))?;
            total += Duration::from_nanos(nanos);
        }
        Ok(total)
    }

    /// The memory that it has of the system, in bytes.
    ///
    /// # Errors
    ///
    /// When `/proc` does not tell.
    pub fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let kib = kib.ok_or_else(|| io::Error::other("the status has no memory"))?;
        Ok(kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
