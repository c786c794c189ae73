//! Three servers, each a process of its own on an address that it keeps.

use std::{
    env, io,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use crate::options::RuntimeName;

/// How many servers there are.
pub(crate) const SIZE: usize = 3;

/// The servers.
pub(crate) struct Fleet {
    runtime: RuntimeName,
    addresses: Vec<SocketAddr>,
    members: Vec<Option<Child>>,
}

impl Fleet {
    /// Starts all servers, on free ports.
    pub(crate) fn start(runtime: RuntimeName) -> io::Result<Self> {
        // All at once, so that no two are the same.
        let sockets = (0..SIZE)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()?;
        drop(sockets);
        let mut fleet = Self {
            runtime,
            addresses,
            members: (0..SIZE).map(|_| None).collect(),
        };
        for index in 0..SIZE {
            fleet.restart(index)?;
        }
        Ok(fleet)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn is_up(&self, index: usize) -> bool {
        self.members[index].is_some()
    }

    /// Starts a server that is down, and waits until it serves.
    pub(crate) fn restart(&mut self, index: usize) -> io::Result<()> {
        let mut child = Command::new(env::current_exe()?)
            .args(["serve", &index.to_string()])
            .arg(self.addresses[index].to_string())
            .args(["--runtime", self.runtime.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line != "serving\n" {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(format!("server {index} does not start")));
        }
        self.members[index] = Some(child);
        Ok(())
    }

    /// Tells a server to finish, and waits until it has ended.
    pub(crate) fn drain(&mut self, index: usize) -> io::Result<()> {
        let Some(mut child) = self.members[index].take() else {
            return Ok(());
        };
        // Kept open: its end would end the server at once.
        let mut input = child.stdin.take();
        if let Some(input) = &mut input {
            input.write_all(b"drain\n")?;
        }
        child.wait()?;
        Ok(())
    }

    /// Kills a server, as `kill -9` does.
    pub(crate) fn kill(&mut self, index: usize) -> io::Result<()> {
        let Some(mut child) = self.members[index].take() else {
            return Ok(());
        };
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for index in 0..SIZE {
            // There is nobody left to tell.
            let _ = self.kill(index);
        }
    }
}
