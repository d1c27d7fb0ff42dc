//! Where the shell's lines come from: an editor with history and completion where a person types, plain lines elsewhere.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::line;
use crate::output::Failure;

const PROMPT: &str = "lockstep> ";
/// In the home directory.
const HISTORY_FILE: &str = ".lockstep_history";
/// A line that is longer is not a command.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// Lines of commands.
pub(crate) enum Lines {
    /// Typed by a person.
    Edited {
        /// The editor.
        editor: Box<Editor<Words, FileHistory>>,
        /// Where earlier lines are kept; `None` without a home directory.
        history: Option<PathBuf>,
    },
    /// From a file or a pipe.
    Plain,
}

/// What came.
pub(crate) enum Input {
    /// A line.
    Line(String),
    /// The person gave up the line (Ctrl-C).
    Cancelled,
    /// There are no more.
    End,
    /// The terminal or the pipe failed.
    Failed(Failure),
}

impl Lines {
    /// Prepares to read from standard input.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub(crate) fn open() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Plain);
        }
        let mut editor = Editor::new().map_err(|error| failure(&error))?;
        editor.set_helper(Some(Words));
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HISTORY_FILE));
        if let Some(path) = &history {
            // There is none the first time; and without one the shell is as good.
            let _ = editor.load_history(path);
        }
        let editor = Box::new(editor);
        Ok(Self::Edited { editor, history })
    }

    /// Does a person type?
    pub(crate) fn is_interactive(&self) -> bool {
        match self {
            Self::Edited { .. } => true,
            Self::Plain => false,
        }
    }

    /// Waits for the next line. Blocks the thread.
    pub(crate) fn next(&mut self) -> Input {
        match self {
            Self::Edited { editor, history } => match editor.readline(PROMPT) {
                Ok(line) => {
                    // A line that cannot be remembered is still a command.
                    let _ = editor.add_history_entry(&line);
                    if let Some(path) = history {
                        let _ = editor.save_history(path);
                    }
                    Input::Line(line)
                }
                Err(ReadlineError::Interrupted) => Input::Cancelled,
                Err(ReadlineError::Eof) => Input::End,
                Err(error) => Input::Failed(failure(&error)),
            },
            Self::Plain => plain_line(),
        }
    }
}

fn plain_line() -> Input {
    let mut line = Vec::new();
    let mut input = io::Read::take(io::stdin().lock(), LINE_BYTES_MAX);
    match input.read_until(b'\n', &mut line) {
        Ok(0) => Input::End,
        Ok(_) => match String::from_utf8(line) {
            Ok(line) => Input::Line(line),
            Err(_) => Input::Failed(Failure::Usage(
                "a line is not UTF-8; use `lockstep import` for binary data".to_owned(),
            )),
        },
        Err(error) => Input::Failed(Failure::broken("cannot read standard input", &error)),
    }
}

fn failure(error: &ReadlineError) -> Failure {
    Failure::broken("cannot use the terminal", error)
}

/// Completes the first word of a line.
pub(crate) struct Words;

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..position];
        let start = typed.len() - typed.trim_start().len();
        let word = &typed[start..];
        let candidates = line::COMMANDS
            .iter()
            .filter(|(name, _, _)| name.starts_with(word))
            .map(|(name, parameters, _)| Pair {
                display: format!("{name} {parameters}"),
                replacement: format!("{name} "),
            })
            .collect();
        Ok((start, candidates))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use rustyline::history::DefaultHistory;

    use super::*;

    #[test]
    fn the_first_word_is_completed() {
        let check = |line: &str, expected: &[&str]| {
            let history = DefaultHistory::new();
            let (start, pairs) = Words
                .complete(line, line.len(), &Context::new(&history))
                .unwrap();
            let found: Vec<&str> = pairs.iter().map(|pair| pair.replacement.trim()).collect();
            assert_eq!(found, expected, "{line}");
            assert_eq!(start, line.len() - line.trim_start().len());
        };
        check("st", &["status"]);
        check("  g", &["get"]);
        check("get k", &[]);
        check("x", &[]);
        assert_eq!(
            line::COMMANDS.len(),
            Words
                .complete("", 0, &Context::new(&DefaultHistory::new()))
                .unwrap()
                .1
                .len()
        );
    }
}
