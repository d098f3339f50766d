//! SIGINT and SIGTERM: what runs until it is told to stop.

use std::sync::mpsc::Sender;

use crate::failure::Failure;

/// Sends `stop` when one of the signals comes. To be called before the socket is there, so that no signal finds a node
/// that it would kill.
pub(crate) fn on_stop<T: Send + 'static>(tell: Sender<T>, stop: fn() -> T) -> Result<(), Failure> {
    // When nobody takes it any more, the process is ending.
    ctrlc::set_handler(move || drop(tell.send(stop())))
        .map_err(|error| Failure::refused(format!("cannot listen for signals: {error}")))
}
