//! How a run of the lab ends: by Ctrl-C, by the end of input, or with its command.

use std::io::Read as _;
use std::process::{Child, ExitStatus};

use crate::failure::Failure;

/// Waits for Ctrl-C, a termination signal or the end of standard input.
pub(super) fn wait() -> Result<(), Failure> {
    let (ended, input) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let mut stdin = std::io::stdin().lock();
        while stdin.read(&mut buffer).is_ok_and(|n| n > 0) {}
        // Nobody listens any more where a signal came first.
        let _ = ended.send(());
    });
    signals(async move {
        let _ = input.await;
    })
}

/// Waits for a command; signals that would end this process are left to it.
pub(super) fn outlive(mut child: Child) -> std::io::Result<ExitStatus> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(child.wait());
    });
    let runtime = runtime()?;
    runtime.block_on(async {
        // Once tokio listens for it, Ctrl-C no longer ends the process.
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut result = result;
        loop {
            tokio::select! {
                status = &mut result => return status.unwrap_or_else(|_| Err(std::io::Error::other("its thread ended"))),
                _ = interrupt.recv() => {}
            }
        }
    })
}

fn signals(other: impl Future<Output = ()>) -> Result<(), Failure> {
    let listen = async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            () = other => Ok(()),
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    };
    runtime()
        .and_then(|runtime| runtime.block_on(listen))
        .map_err(|error| Failure::failed(format!("signals cannot be waited for: {error}")))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
