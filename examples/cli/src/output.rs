//! What is written where: results to standard output, for people or for programs, and progress to standard error.

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const STRONG: Style = Style::new().bold();

/// Columns of the labels in front of what people read.
const LABEL: usize = 11;

#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    verbose: bool,
}

impl Output {
    pub(crate) const fn new(json: bool, verbose: u8) -> Self {
        Self { json, verbose: verbose > 0 }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether more is wanted.
    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// A result, for programs only.
    pub(crate) fn object(&self, object: &Value) {
        if self.json {
            or_end(writeln!(anstream::stdout(), "{object}"));
        }
    }

    /// A line, for people only.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            or_end(writeln!(anstream::stdout(), "{text}"));
        }
    }

    /// A labelled line, for people only.
    pub(crate) fn row(&self, label: &str, text: &str) {
        self.line(&format!("{DIM}{label:<LABEL$}{DIM:#} {text}"));
    }

    /// Octets as they are.
    pub(crate) fn raw(octets: &[u8]) {
        let mut stdout = std::io::stdout();
        or_end(stdout.write_all(octets).and_then(|()| stdout.flush()));
    }

    /// A remark on standard error, if more was asked for.
    pub(crate) fn detail(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            self.note(&format!("{DIM}{}{DIM:#}", text()));
        }
    }

    /// A remark on standard error.
    #[expect(clippy::unused_self, reason = "all that is written goes through here")]
    pub(crate) fn note(&self, text: &str) {
        // Nobody reads it: nothing can be said about that.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// A line on standard error that shows that something goes on; none where nobody looks.
    pub(crate) fn progress(&self, text: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if !bar.is_hidden() {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar, text: text.to_owned() }
    }
}

/// Standard output is closed: nobody reads the rest, and there is nobody to tell.
fn or_end(written: std::io::Result<()>) {
    if written.is_err() {
        std::process::exit(1);
    }
}

/// The line of something that goes on; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    text: String,
}

impl Progress {
    pub(crate) fn answered(&self, nodes: usize) {
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{}: {nodes} nodes have answered", self.text));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A time as people say it.
pub(crate) fn time(duration: Duration) -> String {
    match duration.as_micros() {
        0..1_000 => format!("{} µs", duration.as_micros()),
        1_000..10_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{} ms", duration.as_millis()),
        1_000_000..100_000_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min", (duration.as_secs() + 30) / 60),
    }
}

/// A number of things as people say it.
pub(crate) fn count(number: impl Into<u64>, thing: &str) -> String {
    match number.into() {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}
