//! A thread with a single-threaded runtime, ended by dropping its handle.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs a server. Dropping it ends the server, drops all its tasks and waits for the thread.
pub(crate) struct ServerThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServerThread {
    /// Calls `build` within the new runtime (so that it can register sockets) and runs the future it returns.
    ///
    /// # Errors
    /// What `build` returns, or what the system says when there are no more threads.
    pub(crate) fn spawn<B, F>(name: &str, build: B) -> io::Result<Self>
    where
        B: FnOnce() -> io::Result<F>,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let serve = {
            let _inside = runtime.enter();
            build()?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve => {}
                }
            });
            // A name that is still being resolved must not keep the caller waiting.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server was reported by the panic hook of its thread.
            let _ = thread.join();
        }
    }
}
