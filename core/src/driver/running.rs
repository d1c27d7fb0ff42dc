//! A process at work, as who has started it sees it: told to end, and waited for.

use async_channel::Sender;

use super::error::DriverError;

/// A process at work. It stops in good order when this and all its `Control`s are dropped.
#[derive(Debug)]
pub struct Running {
    pub(super) control: Control,
    pub(super) result: oneshot::Receiver<Result<Exit, DriverError>>,
}

/// Tells a process at work to end; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) commands: Sender<Command>,
}

/// Why a process ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to.
    Stopped,
    /// It has left the configuration, as it was told to.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Leave,
    End(Ending),
}

/// How a process that does not leave is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// What was handed to the disk is finished.
    Stop,
    /// What the disk has not begun is not done.
    Kill,
}

impl Running {
    /// To end it from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until it ends by itself or is told to.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn ended(self) -> Result<Exit, DriverError> {
        self.result.await.unwrap_or(Err(DriverError::Abandoned))
    }

    /// Stops it and waits: what was handed to the disk is finished, the network is closed. For the others it is as if
    /// it had crashed.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn stop(self) -> Result<Exit, DriverError> {
        self.control.stop();
        self.ended().await
    }

    /// Lets it leave the configuration first, then stops it.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn leave(self) -> Result<Exit, DriverError> {
        self.control.leave();
        self.ended().await
    }

    /// Ends it as a crash would, as far as that can be done within a program: what the disk has not begun is not done.
    ///
    /// # Errors
    /// If something else had gone wrong before.
    pub async fn kill(self) -> Result<Exit, DriverError> {
        self.control.tell(Command::End(Ending::Kill));
        self.ended().await
    }
}

impl Control {
    /// Like `Running::stop`, without waiting.
    pub fn stop(&self) {
        self.tell(Command::End(Ending::Stop));
    }

    /// Like `Running::leave`, without waiting.
    pub fn leave(&self) {
        self.tell(Command::Leave);
    }

    fn tell(&self, command: Command) {
        // Full or closed: the process has been told to end often enough, or has ended.
        let _told = self.commands.try_send(command);
    }
}
