//! The processes of a run, from their outside: the server and the callers.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use super::{Failure, Library, Runtime, scenario::Scenario};

/// A process of the program `clients`; stopped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What some calls took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Of the caller's CPU time, for each call.
    pub cpu: Duration,
    /// Calls in a second.
    pub rate: f64,
}

impl Process {
    /// The server, on processor 0.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn server() -> Result<(Self, String), Failure> {
        let mut process = Self::start("0", &["serve"])?;
        let uri = format!("http://{}", process.line()?);
        Ok((process, uri))
    }

    /// A caller, on processor 1.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn caller(
        library: Library,
        runtime: Runtime,
        scenario: &Scenario,
        uri: &str,
    ) -> Result<Self, Failure> {
        let arguments = ["call", library.name(), runtime.name(), scenario.name, uri];
        Self::start("1", &arguments)
    }

    fn start(processor: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new("taskset")
            .args(["-c", processor])
            .arg(program()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("the process has no input")?;
        let output = child.stdout.take().ok_or("the process has no output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim() {
            "" => Err("a process has ended".into()),
            line => Ok(line.to_owned()),
        }
    }

    /// Has a caller make so many calls.
    ///
    /// # Errors
    ///
    /// When one of them fails.
    pub fn call(&mut self, count: usize) -> Result<Taken, Failure> {
        writeln!(self.input, "{count}")?;
        let line = self.line()?;
        let (cpu, passed) = line.split_once(' ').ok_or("a caller's answer is broken")?;
        let passed = Duration::from_nanos(passed.parse()?);
        let calls = u32::try_from(count)?;
        Ok(Taken {
            cpu: Duration::from_nanos(cpu.parse()?) / calls,
            rate: f64::from(calls) / passed.as_secs_f64(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program `clients`, which is beside the one that runs.
fn program() -> Result<PathBuf, Failure> {
    Ok(env::current_exe()?.with_file_name("clients"))
}

/// How often a caller calls the system for each of its calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemCalls {
    /// Writes to a socket.
    pub writes: f64,
    /// Reads from a socket, or of what wakes a thread.
    pub reads: f64,
    /// Threads that are woken: by the reactor's descriptor, or by a futex, where the sleeper's call counts too.
    pub wakes: f64,
    /// Waits for readiness.
    pub polls: f64,
    /// All others.
    pub others: f64,
}

impl SystemCalls {
    /// Counted by `strace`. What a caller does before and after its calls is left out: they are the difference of two runs.
    ///
    /// # Errors
    ///
    /// When there is no `strace`, or it may not trace.
    pub fn of(
        library: Library,
        runtime: Runtime,
        scenario: &Scenario,
        uri: &str,
    ) -> Result<Self, Failure> {
        let arguments = ["call", library.name(), runtime.name(), scenario.name, uri];
        let short = scenario.calls / 10;
        let [before, after] = [short, 3 * short].map(|count| traced(&arguments, count));
        let (mut before, mut calls) = (before?, Self::default());
        let each = f64::from(u32::try_from(2 * short)?);
        for (name, count) in after? {
            let more = (count - before.remove(&name).unwrap_or(0.0)) / each;
            *match &name[..] {
                "sendto" | "sendmsg" | "writev" => &mut calls.writes,
                "recvfrom" | "recvmsg" | "read" | "readv" => &mut calls.reads,
                "write" | "futex" => &mut calls.wakes,
                "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => &mut calls.polls,
                "total" => continue,
                _ => &mut calls.others,
            } += more;
        }
        Ok(calls)
    }
}

/// How often each system call was made in a run of so many calls.
fn traced(arguments: &[&str], count: usize) -> Result<BTreeMap<String, f64>, Failure> {
    let file = env::temp_dir().join(format!("clients-{}.strace", std::process::id()));
    let mut child = Command::new("taskset")
        .args(["-c", "1", "strace", "-f", "-c", "-U", "name,calls", "-o"])
        .arg(&file)
        .arg(program()?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("the process has no input")?;
    writeln!(input, "{count}")?;
    // At the end of its input the caller ends, and strace writes what it has seen.
    drop(input);
    if !child.wait()?.success() {
        return Err("strace has failed".into());
    }
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    let rows = text.lines().filter_map(|line| {
        let (name, calls) = line.trim().split_once(' ')?;
        Some((name.to_owned(), calls.trim().parse().ok()?))
    });
    Ok(rows.collect())
}
