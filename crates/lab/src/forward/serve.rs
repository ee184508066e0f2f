//! The life of a client's connection to the proxy.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::head::{Body, Head, invalid};
use super::origin::{Target, connect};
use super::plain::{self, PlainRequest};
use super::pump::{self, Down};
use super::{ForwardMode, Shared, answer, intercept, socks};

/// Connections at a time, at most; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send a request, from the connection's begin or the last answer.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// Accepts and serves connections for ever.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: wait for connections to end.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        shared.counters.connection();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Err(error) = connection(client, &shared).await {
                shared.counters.failure(error.to_string());
            }
            drop(slot);
        });
    }
}

async fn connection(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut down = Down::new(&client, shared)?;
    match &shared.config.tls {
        Some(tls) => {
            let accept = TlsAcceptor::from(Arc::clone(tls)).accept(client);
            let client = intercept::limited("the client of the proxy", accept).await?;
            requests(BufReader::new(client), &mut down, shared).await
        }
        None => requests(BufReader::new(client), &mut down, shared).await,
    }
}

async fn requests<C: AsyncRead + AsyncWrite + Unpin>(
    mut client: BufReader<C>,
    down: &mut Down<'_>,
    shared: &Shared,
) -> io::Result<()> {
    match shared.config.mode {
        ForwardMode::Silent => return swallow(&mut client).await,
        ForwardMode::Socks5 => return socks::serve(client, down, shared).await,
        _ => {}
    }
    let mut kept = None;
    loop {
        let head = match timeout(IDLE, Head::read(&mut client)).await {
            Err(_) | Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(head))) => head,
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                answer::send(&mut client, &shared.counters, 400, false).await?;
                return Err(error);
            }
            Ok(Err(error)) => return Err(error),
        };
        let Some(request) = Request::parse(&head) else {
            answer::send(&mut client, &shared.counters, 400, false).await?;
            return Err(invalid("a request that is neither CONNECT host:port nor for an http:// URL"));
        };
        shared.counters.request(matches!(request, Request::Connect(_)), &request.target().to_string());
        sleep(shared.config.delay).await;
        match own_answer(&head, shared) {
            OwnAnswer::None => {}
            OwnAnswer::Endless(every) => {
                return answer::endless_headers(&mut client, &shared.counters, every).await;
            }
            OwnAnswer::Status(status) => {
                // A body that was not read would be taken for the next request.
                let keep = head.keeps_connection() && head.request_body()? == Body::Length(0);
                answer::send(&mut client, &shared.counters, status, keep).await?;
                if keep {
                    continue;
                }
                return Ok(());
            }
        }
        match request {
            Request::Connect(target) => return tunnel(client, &target, down, shared).await,
            Request::Plain(request) => {
                if !plain::forward(&mut client, &head, &request, &mut kept, down, shared).await? {
                    return Ok(());
                }
            }
        }
    }
}

async fn tunnel<C: AsyncRead + AsyncWrite + Unpin>(
    mut client: BufReader<C>,
    target: &Target,
    down: &mut Down<'_>,
    shared: &Shared,
) -> io::Result<()> {
    let origin = match connect(&shared.config.names, target).await {
        Ok(origin) => origin,
        Err(unreachable) => {
            shared.counters.failure(unreachable.why);
            return answer::send(&mut client, &shared.counters, unreachable.status, false).await;
        }
    };
    answer::established(&mut client, &shared.counters).await?;
    match &shared.config.mode {
        ForwardMode::Intercept(how) => intercept::run(client, origin, &target.host, how, down, shared).await,
        _ => pump::both(client, origin, down).await,
    }
}

/// What the proxy says of its own, without asking an origin.
enum OwnAnswer {
    None,
    Status(u16),
    Endless(Duration),
}

fn own_answer(head: &Head, shared: &Shared) -> OwnAnswer {
    if let ForwardMode::EndlessHeaders { every } = shared.config.mode {
        return OwnAnswer::Endless(every);
    }
    if let Some((user, password)) = &shared.config.credentials
        && !carries(head, user, password)
    {
        return OwnAnswer::Status(407);
    }
    match shared.config.mode {
        ForwardMode::Refuse(status) => OwnAnswer::Status(status),
        _ => OwnAnswer::None,
    }
}

/// Whether a head carries these credentials (RFC 7617).
fn carries(head: &Head, user: &str, password: &str) -> bool {
    let given = head.get("proxy-authorization").and_then(|value| value.split_once(' '));
    given.is_some_and(|(scheme, encoded)| {
        scheme.eq_ignore_ascii_case("basic")
            && BASE64_STANDARD
                .decode(encoded.trim())
                .is_ok_and(|given| given == format!("{user}:{password}").as_bytes())
    })
}

enum Request<'a> {
    Connect(Target),
    Plain(PlainRequest<'a>),
}

impl<'a> Request<'a> {
    fn parse(head: &'a Head) -> Option<Self> {
        let mut words = head.start.split(' ');
        let (method, url, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || !matches!(version, "HTTP/1.0" | "HTTP/1.1") || method.is_empty() {
            return None;
        }
        if method == "CONNECT" {
            return Target::parse(url, None).map(Self::Connect);
        }
        PlainRequest::parse(method, url).map(Self::Plain)
    }

    fn target(&self) -> &Target {
        match self {
            Self::Connect(target) => target,
            Self::Plain(request) => &request.target,
        }
    }
}

async fn swallow<C: AsyncRead + Unpin>(client: &mut C) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
