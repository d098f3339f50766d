//! Why a command did not do what it was asked: one line that says what to do, and the exit status.

use std::fmt;
use std::process::ExitCode;

use bep44::core::wire::Code;
use bep44::persist::DataError;
use bep44::replay::RecordError;
use bep44::{BuildError, Error, ItemError, Outcome};
use clap::error::ErrorKind;
use serde_json::{Map, Value, json};

use crate::output::{BAD, Output, count};

#[derive(Debug)]
pub(crate) struct Failure {
    /// 1: the network or the item said no. 2: wrong usage.
    status: u8,
    message: String,
    /// What a node gave.
    code: Option<i64>,
    /// More for programs.
    details: Map<String, Value>,
}

impl Failure {
    /// The network or the item said no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into(), code: None, details: Map::new() }
    }

    /// Wrong usage; `message` says what to write instead.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, ..Self::refused(message) }
    }

    /// Nothing is stored there. "not found" is what scripts look for.
    pub(crate) fn not_found(what: &str, outcome: &Outcome) -> Self {
        let answered = count(outcome.answered, "node");
        let mut failure = Self::refused(format!("{what} not found: {answered} answered, and none has it"));
        failure.details.insert("answered".into(), outcome.answered.into());
        failure
    }

    /// There was nobody.
    pub(crate) fn nobody(asked: u16) -> Self {
        let asked = count(asked, "question");
        Self::refused(format!("nobody answered ({asked} sent): give a node that runs with --bootstrap HOST:PORT"))
    }

    pub(crate) fn with_code(mut self, code: Option<i64>) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        if let Value::Object(details) = details {
            self.details = details;
        }
        self
    }

    pub(crate) fn report(self, output: &Output) -> ExitCode {
        output.note(&format!("{BAD}error:{BAD:#} {}", self.message));
        if output.is_json() {
            let mut object = Map::new();
            object.insert("error".into(), self.message.into());
            if let Some(code) = self.code {
                object.insert("code".into(), code.into());
            }
            object.extend(self.details);
            output.object(&Value::Object(object));
        }
        ExitCode::from(self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Item(error) => error.into(),
            error => Self::refused(error.to_string()),
        }
    }
}

impl From<ItemError> for Failure {
    /// Limits are broken by what was written on the command line.
    fn from(error: ItemError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Bind { .. } => Self::usage(format!("{error}; choose another address with --bind")),
            BuildError::Bootstrap { .. } | BuildError::OneFamily { .. } => Self::usage(error.to_string()),
            BuildError::Data(error) => error.into(),
            error => Self::refused(error.to_string()),
        }
    }
}

impl From<RecordError> for Failure {
    /// Another file will do.
    fn from(error: RecordError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<DataError> for Failure {
    /// Another directory will do. What the database says of a damaged file may take several lines.
    fn from(error: DataError) -> Self {
        let text = error.to_string();
        Self::usage(text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
    }
}

/// What the argument parser has to say: help, or one line on what is wrong.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            let text = error.render().to_string();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let said: Vec<_> = lines.filter(|line| !line.starts_with("For more information")).collect();
            let message = said.join("; ").replace(":; ", ": ");
            let message = message.strip_prefix("error: ").unwrap_or(&message);
            // It is not parsed yet, but whoever has written it wants an object.
            let json = std::env::args_os().any(|arg| arg == "--json");
            Failure::usage(message).report(&Output::new(json, 0))
        }
    }
}

/// What an error code means (BEP 5, BEP 44), in words.
pub(crate) fn meaning(code: i64) -> &'static str {
    match Code::from_number(code) {
        Some(Code::Generic) => "generic error",
        Some(Code::Server) => "the node cannot",
        Some(Code::Protocol) => "malformed, or its token was bad",
        Some(Code::UnknownMethod) => "the node does not know how to store",
        Some(Code::ValueTooBig) => "the value is too big",
        Some(Code::InvalidSignature) => "the signature is invalid",
        Some(Code::SaltTooBig) => "the salt is too big",
        Some(Code::CasMismatch) => "another sequence number is stored than expected",
        Some(Code::SequenceTooLow) => "a newer sequence number is stored",
        None => "an error of the node's own",
    }
}

/// Who refused, as programs read it.
pub(crate) fn rejections(outcome: &Outcome) -> Value {
    let one = |rejection: &bep44::Rejection| json!({ "code": rejection.code, "message": meaning(rejection.code), "count": rejection.count });
    outcome.rejected.iter().map(one).collect()
}
