//! Results to standard output, words to standard error, and the exit status.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use connector_sdk::{Class, Error, Result};
use serde::Serialize;
use serde_json::json;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Done,
    /// It did not.
    Failed,
    /// A person has to change the command or the configuration first.
    Misused,
}

impl Exit {
    /// The exit status of an error of this class.
    pub(crate) fn of(class: Option<Class>) -> Self {
        match class {
            None => Self::Done,
            Some(Class::Config) => Self::Misused,
            Some(_) => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Misused => Self::from(2),
        }
    }
}

/// Where results go, and in which form.
#[derive(Debug)]
pub(crate) struct Output {
    /// One JSON document, instead of text for people.
    pub(crate) json: bool,
    /// How much to say.
    pub(crate) verbose: u8,
}

impl Output {
    pub(crate) fn new(json: bool, verbose: u8) -> Self {
        Self { json, verbose }
    }

    /// Whether a person is watching standard error.
    pub(crate) fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Prints a result: as JSON, or as the text that `for_people` makes of it.
    ///
    /// # Errors
    /// Permanent when standard output cannot be written. One that nobody reads any more is no error.
    pub(crate) fn result(
        &self,
        document: &impl Serialize,
        for_people: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.json { self.document(document) } else { self.text(&for_people()) }
    }

    /// Prints a JSON document: for people with line breaks, for programs in one line.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<()> {
        let text =
            if self.json { serde_json::to_string(document) } else { serde_json::to_string_pretty(document) };
        let text =
            text.map_err(|error| Error::bug("print", "the result does not serialise").with_source(error))?;
        self.text(&(text + "\n"))
    }

    /// Prints text.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(|_| ())
    }

    /// Says what went wrong, where it belongs, and how to exit.
    pub(crate) fn failed(&self, error: &Error) -> Exit {
        if self.json {
            // Where the document cannot be printed either, the status says it all the same.
            let _ = self.document(&json!({ "error": error }));
        } else {
            self.complain(error);
        }
        Exit::of(Some(error.class()))
    }

    /// Tells a person what went wrong; with `-v` also why.
    pub(crate) fn complain(&self, error: &Error) {
        let text = if self.verbose > 0 { format!("error: {error:?}\n") } else { format!("error: {error}\n") };
        let _ = io::stderr().write_all(harmless(&text).as_bytes());
    }
}

/// Tells a person, or the program that drives this one, where to sign in: on standard error, since standard
/// output is for the result.
pub(crate) fn sign_in_at(output: &Output, url: &str) {
    let text = if output.json {
        format!("{}\n", json!({ "sign_in_at": url }))
    } else {
        format!("open this address in a browser and sign in:\n\n  {}\n\n", harmless(url))
    };
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Without what a terminal would obey: parts of a message may come from the vendor.
pub(crate) fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
}

/// What a write to standard output came to: true where somebody still reads.
///
/// # Errors
/// Permanent when it cannot be written.
pub(crate) fn written(result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::permanent("print", format!("standard output cannot be written: {error}"))),
    }
}

/// Help, version, or a command line that makes no sense; the latter has a document too where one was asked for.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let said = error.render().to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let _ = Output::new(true, 0).document(&json!({ "error": Error::config("read arguments", said) }));
    }
    Exit::Misused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_command_the_terminal() {
        assert_eq!(
            harmless("error: \u{1b}[2Jgone\r\u{9b}31m\u{7}\tä\nnext\n"),
            "error:  [2Jgone  31m  ä\nnext\n"
        );
    }
}
