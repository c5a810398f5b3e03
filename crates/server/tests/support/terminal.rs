//! A program in a terminal of its own, by tmux.

use super::programs::{Server, run};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The terminal; the program ends with it.
pub struct Terminal(PathBuf);

impl Terminal {
    pub fn run(server: &Server, command: &str) -> Self {
        let terminal = Self(server.folder.path().join("tmux"));
        let session = ["-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "40"];
        terminal.tmux(&[&session[..], &[command]].concat());
        terminal
    }

    pub fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    /// Waits until the screen shows something, or does no more.
    pub fn shows(&self, what: &str, is_there: bool) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.contains(what) == is_there {
                return;
            }
            assert!(
                Instant::now() < end,
                "{what:?} should be there: {is_there}\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.0);
        run(command.args(arguments).env("TERM", "xterm")).1
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
