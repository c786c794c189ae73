//! Instructions of one call, by the layer that they are spent in, of servers and of clients.
//!
//! A process is run by `valgrind --tool=callgrind` twice, with some calls and with more; the difference is what calls cost.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{self, Child, ChildStdout, Command, Stdio},
};

use connect_peers::Failure;

use crate::profile::Profile;

/// Rows of the table: what they are called, and the crates that they are made of.
pub(crate) const ROWS: [(&str, &[&str]); 10] = [
    (
        "tokio, mio: sockets, tasks",
        &["tokio", "mio", "socket2", "connect-tokio"],
    ),
    ("h2: frames, HPACK, windows", &["h2", "slab", "fnv"]),
    (
        "hyper",
        &[
            "hyper",
            "hyper-util",
            "httparse",
            "httpdate",
            "tower",
            "futures-channel",
            "want",
        ],
    ),
    (
        "http, bytes: headers, buffers",
        &["http", "http-body", "http-body-util", "bytes"],
    ),
    ("connect-hyper", &["connect-hyper"]),
    ("connect-tower", &["connect-tower"]),
    ("connect-proto", &["connect-proto"]),
    (
        "messages and handler",
        &["connect-codec", "prost", "connect-peers", "peers", "buffa"],
    ),
    ("memory: allocated, freed", &["malloc"]),
    ("memory: copied, filled", &["memcpy"]),
];

/// A program under callgrind, which has written its address, or waits for its input.
#[derive(Debug)]
pub(crate) struct Counted {
    child: Child,
    output: BufReader<ChildStdout>,
    file: PathBuf,
}

impl Counted {
    /// Starts a program of this folder.
    ///
    /// # Errors
    ///
    /// When there is no valgrind.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let file = env::temp_dir().join(format!("steps-{}.callgrind", process::id()));
        let mut child = Command::new("valgrind")
            .args(["--tool=callgrind", "-q"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(env::current_exe()?.with_file_name(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or("the process has no output")?;
        let output = BufReader::new(output);
        Ok(Self {
            child,
            output,
            file,
        })
    }

    /// Gives the program a line to read.
    ///
    /// # Errors
    ///
    /// When it reads none.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let input = self
            .child
            .stdin
            .as_mut()
            .ok_or("the process has no input")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// The next line that it prints.
    ///
    /// # Errors
    ///
    /// When it ends before.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim() {
            "" => Err("a process under valgrind has ended".into()),
            line => Ok(line.to_owned()),
        }
    }

    /// Ends the program: what it has cost.
    ///
    /// # Errors
    ///
    /// When callgrind has written nothing.
    pub(crate) fn end(mut self) -> Result<Profile, Failure> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        self.child.wait()?;
        let text = fs::read_to_string(&self.file)?;
        fs::remove_file(&self.file)?;
        Ok(Profile::read(&text))
    }
}

/// Lines of Markdown: a column for each profile.
#[must_use]
pub(crate) fn table(title: &str, columns: &[(String, Profile)]) -> String {
    let line = |name: &str, cell: &dyn Fn(&Profile) -> f64| {
        let cells: Vec<_> = columns
            .iter()
            .map(|(_, it)| format!("{:.0}", cell(it).max(0.0)))
            .collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("| {title} | {} |\n", names.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(columns.len()));
    for (name, crates) in ROWS {
        text += &line(name, &|it| it.sum(|layer| crates.contains(&layer)));
    }
    let is_other = |layer: &str| ROWS.iter().all(|(_, crates)| !crates.contains(&layer));
    text += &line("all else", &|it| it.sum(is_other));
    text + &line("**together**", &|it| it.sum(|_| true))
}
