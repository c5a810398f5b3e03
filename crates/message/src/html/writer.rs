//! Lays text out in lines

use super::{Options, attribute};

/// Writes characters and breaks; white space and breaks are written only before what follows them.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    options: Options,
    started: bool,
    at_line_start: bool,
    space: bool,
    cell: bool,
    /// Line ends that `br` asks for, and that blocks ask for.
    breaks: u8,
    block: u8,
    marker: String,
    /// Open lists: the next number, or none for bullets.
    lists: Vec<Option<u32>>,
    quotes: u8,
    /// The depth of quotes at the last line that was written.
    shown_quotes: u8,
    pre: u32,
    link: Option<Link>,
}

#[derive(Debug, Clone)]
struct Link {
    target: String,
    /// As much of the text as can be the target.
    text: String,
}

/// Lists and quotes nested deeper look like these.
const MAX_NESTING: usize = 16;

/// Longer targets are not for people.
const MAX_TARGET: usize = 2000;

impl Writer {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            started: false,
            at_line_start: true,
            space: false,
            cell: false,
            breaks: 0,
            block: 0,
            marker: String::new(),
            lists: Vec::new(),
            quotes: 0,
            shown_quotes: 0,
            pre: 0,
            link: None,
        }
    }

    pub(super) fn char(&mut self, c: char, out: &mut String) {
        match c {
            '\n' if self.pre > 0 => self.breaks = self.breaks.saturating_add(1),
            ' ' | '\t' if self.pre > 0 => {
                self.before(out);
                self.put(c, out);
            }
            ' ' | '\t' | '\n' | '\r' | '\x0c' => self.space = true,
            '\u{a0}' => {
                self.before(out);
                self.put(' ', out);
            }
            c if c.is_control() => {}
            _ => {
                self.before(out);
                self.put(c, out);
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut String) {
        self.close_link(out);
    }

    pub(super) fn tag(&mut self, name: &str, closes: bool, attributes: &str, out: &mut String) {
        match name {
            "br" => {
                self.breaks = self.breaks.saturating_add(1);
                self.space = false;
            }
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "dl" | "figure" | "fieldset" => {
                self.break_block(2);
            }
            "pre" => {
                self.break_block(2);
                self.pre = if closes {
                    self.pre.saturating_sub(1)
                } else {
                    self.pre.saturating_add(1)
                };
            }
            "blockquote" => {
                // The lines of a quote are set apart, the blank line before it is not its own.
                self.break_block(2);
                self.quotes = if closes {
                    self.quotes.saturating_sub(1)
                } else {
                    (self.quotes + 1).min(MAX_NESTING as u8)
                };
            }
            "ul" | "ol" | "menu" | "dir" => {
                self.break_block(if self.lists.is_empty() || closes && self.lists.len() == 1 {
                    2
                } else {
                    1
                });
                if closes {
                    self.lists.pop();
                } else if self.lists.len() < MAX_NESTING {
                    self.lists.push((name == "ol").then_some(1));
                }
            }
            "li" => {
                self.break_block(1);
                self.marker.clear();
                if !closes && self.options.marks {
                    self.list_marker();
                }
            }
            "div" | "tr" | "dt" | "dd" | "section" | "article" | "header" | "footer" | "address"
            | "center" | "form" | "caption" | "body" | "main" | "nav" | "aside" | "option" | "figcaption" => {
                self.break_block(1);
            }
            "hr" => {
                self.break_block(1);
                if self.options.marks && self.started {
                    self.before(out);
                    "----------".chars().for_each(|c| self.put(c, out));
                }
                self.break_block(1);
            }
            "td" | "th" => self.cell |= !self.at_line_start,
            "img" => {
                if let Some(text) = attribute(attributes, "alt") {
                    text.chars().take(MAX_TARGET).for_each(|c| self.char(c, out));
                }
            }
            "a" => {
                self.close_link(out);
                if !closes && self.options.links {
                    self.link = attribute(attributes, "href").and_then(|target| Link::to(&target));
                }
            }
            _ => {}
        }
    }

    fn break_block(&mut self, lines: u8) {
        self.block = self.block.max(lines);
        (self.space, self.cell) = (false, false);
    }

    fn list_marker(&mut self) {
        for _ in 1..self.lists.len() {
            self.marker.push_str("  ");
        }
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.marker.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.marker.push_str("- "),
        }
    }

    fn close_link(&mut self, out: &mut String) {
        let Some(link) = self.link.take() else { return };
        let shown = link.target.strip_prefix("mailto:").unwrap_or(&link.target);
        let bare = shown
            .split_once("://")
            .map_or(shown, |(_, rest)| rest)
            .trim_end_matches('/');
        if !self.started || [shown, bare].contains(&link.text.trim().trim_end_matches('/')) {
            return;
        }
        self.space = true;
        self.before(out);
        out.push('<');
        out.push_str(shown);
        out.push('>');
    }

    /// Writes what is owed before a character.
    fn before(&mut self, out: &mut String) {
        let lines = if self.pre > 0 {
            self.breaks.max(self.block)
        } else {
            self.breaks.max(self.block).min(2)
        };
        if self.started {
            for line in 0..lines {
                out.push('\n');
                if line + 1 < lines && self.options.marks {
                    out.push_str(&">".repeat(self.quotes.min(self.shown_quotes).into()));
                }
            }
        }
        if lines > 0 {
            self.at_line_start = true;
        }
        (self.breaks, self.block, self.shown_quotes) = (0, 0, self.quotes);
        if self.at_line_start {
            if self.options.marks {
                if self.quotes > 0 {
                    out.push_str(&">".repeat(self.quotes.into()));
                    out.push(' ');
                }
                out.push_str(&self.marker);
            }
            self.marker.clear();
        } else if self.cell {
            out.push('\t');
        } else if self.space {
            out.push(' ');
            self.note(' ');
        }
        (self.space, self.cell, self.at_line_start, self.started) = (false, false, false, true);
    }

    fn put(&mut self, c: char, out: &mut String) {
        out.push(c);
        self.note(c);
    }

    fn note(&mut self, c: char) {
        if let Some(link) = self
            .link
            .as_mut()
            .filter(|link| link.text.len() <= link.target.len())
        {
            link.text.push(c);
        }
    }
}

impl Link {
    fn to(target: &str) -> Option<Self> {
        let target = target.trim();
        let is_known = ["http:", "https:", "mailto:", "ftp:", "tel:"]
            .iter()
            .any(|scheme| {
                target
                    .get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            });
        let is_fit = target.len() <= MAX_TARGET && !target.contains(|c: char| c.is_control() || c == ' ');
        (is_known && is_fit).then(|| Self {
            target: target.to_owned(),
            text: String::new(),
        })
    }
}
