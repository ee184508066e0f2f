//! `goferry serve`.

use std::path::PathBuf;
use std::sync::Arc;

use goferry_env::{Environment, Inputs};
use goferry_module::ProxyList;
use goferry_proxy::config::Listen;
use goferry_proxy::server::{Server, Stop};
use goferry_proxy::{Proxy, ProxyConfig};

use crate::args::serve::Serve;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Serves until told to stop.
pub(crate) fn run(args: &Serve, printer: &Printer) -> Outcome {
    let inputs = Inputs::from_process(".");
    let env = Environment::resolve(&inputs).map_err(|error| Failure::failed(error.to_string()))?;
    let config = config(args, &inputs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no event queue: {error}")))?;
    runtime.block_on(async {
        let proxy = Proxy::open(config, &inputs, &env).map_err(|error| Failure::failed(error.to_string()))?;
        let server =
            Server::bind(Arc::new(proxy)).await.map_err(|error| Failure::failed(format!("listening: {error}")))?;
        let server = Arc::new(server);
        if let Some(authority) = server.authority() {
            printer.note(&format!("export SSL_CERT_FILE={}", authority.display()));
        }
        for url in server.urls() {
            printer.note(&format!("export GOPROXY={url}"));
        }
        for socket in server.sockets() {
            printer.note(&format!("listening on {}", socket.display()));
        }
        let (sender, stop) = Stop::new();
        let running = tokio::spawn(Arc::clone(&server).run(stop));
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(|error| Failure::failed(format!("signals cannot be waited for: {error}")))?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        let _ = sender.send(true);
        let _ = running.await;
        Ok(exit_code::OK)
    })
}

fn config(args: &Serve, inputs: &Inputs) -> Result<ProxyConfig, Failure> {
    let mut config = ProxyConfig::default();
    config.listen = args
        .listen
        .iter()
        .map(|text| text.parse().map(Listen::Tcp).map_err(|error| Failure::usage(format!("--listen {text}: {error}"))))
        .collect::<Result<_, _>>()?;
    config.store = match &args.store {
        Some(dir) => dir.clone(),
        None => store(inputs).ok_or_else(|| Failure::usage("there is no cache folder: name a store with --store"))?,
    };
    if let Some(list) = &args.upstream {
        let list = ProxyList::parse(list).map_err(|error| Failure::usage(format!("--upstream: {error}")))?;
        config.upstream = Some(list);
    }
    Ok(config)
}

/// A folder in the user's cache folder (`os.UserCacheDir`).
pub(crate) fn store(inputs: &Inputs) -> Option<PathBuf> {
    let cache = inputs.var("XDG_CACHE_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    Some(cache.or_else(|| Some(PathBuf::from(inputs.var("HOME")?).join(".cache")))?.join("goferry/store"))
}
