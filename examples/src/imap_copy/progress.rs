//! A bar of how far it is.

use super::report::{Octets, shown};
use std::io::Write;
use std::time::{Duration, Instant};

/// A bar on the standard error, one line for each mailbox.
#[derive(Debug)]
pub struct Progress {
    draws: bool,
    mailbox: String,
    messages: (u64, u64),
    octets: (u64, u64),
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// How often it is drawn anew.
    const EVERY: Duration = Duration::from_millis(100);
    const WIDTH: u64 = 30;

    /// Draws, or does not.
    pub fn new(draws: bool) -> Self {
        Self {
            draws,
            mailbox: String::new(),
            messages: (0, 0),
            octets: (0, 0),
            began: Instant::now(),
            drawn: None,
        }
    }

    /// Begins with so many messages, of so many octets together.
    pub fn begin(&mut self, mailbox: &str, messages: usize, octets: u64) {
        self.mailbox = shown(mailbox);
        self.messages = (0, messages as u64);
        self.octets = (0, octets);
        self.began = Instant::now();
        self.draw();
    }

    /// So many octets have passed.
    pub fn octets(&mut self, octets: u64) {
        self.octets.0 += octets;
        self.draw_in_time();
    }

    /// A message has passed.
    pub fn message(&mut self) {
        self.messages.0 += 1;
        self.draw_in_time();
    }

    /// The mailbox is done.
    pub fn end(&mut self) {
        if self.drawn.is_some() {
            self.draw();
            eprintln!();
            self.drawn = None;
        }
    }

    fn draw_in_time(&mut self) {
        if self.drawn.is_none_or(|at| at.elapsed() >= Self::EVERY) {
            self.draw();
        }
    }

    fn draw(&mut self) {
        if !self.draws || self.messages.1 == 0 {
            return;
        }
        let (done, all) = self.messages;
        // Sizes are what the server says; its messages may be longer.
        let part = match self.octets.1 {
            0 => Self::WIDTH * done / all,
            octets => Self::WIDTH * self.octets.0.min(octets) / octets,
        };
        let bar: String = (0..Self::WIDTH)
            .map(|n| if n < part { '#' } else { '.' })
            .collect();
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = Octets((self.octets.0 as f64 / seconds) as u64);
        let line = format!(
            "\r{} [{bar}] {done}/{all}, {}, {rate}/s\x1b[K",
            self.mailbox,
            Octets(self.octets.0)
        );
        // A bar that cannot be drawn is no reason to stop.
        let _ = std::io::stderr().write_all(line.as_bytes());
        self.drawn = Some(Instant::now());
    }
}
