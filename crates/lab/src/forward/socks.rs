//! SOCKS5: the greeting, user and password, one CONNECT, then a tunnel (RFC 1928, RFC 1929).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{sleep, timeout};

use super::Shared;
use super::head::invalid;
use super::origin::{Target, connect};
use super::pump::{self, Down};
use super::serve::IDLE;

const VERSION: u8 = 5;
/// The version of the negotiation of user and password (RFC 1929, 2).
const LOGIN_VERSION: u8 = 1;
/// Methods (RFC 1928, 3).
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// Commands (RFC 1928, 4).
const CONNECT: u8 = 1;
/// Kinds of addresses (RFC 1928, 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Replies (RFC 1928, 6).
const SUCCEEDED: u8 = 0;
const HOST_UNREACHABLE: u8 = 4;
const NO_SUCH_COMMAND: u8 = 7;
const NO_SUCH_ADDRESS: u8 = 8;

/// Serves one connection: opens the tunnel that is asked for, and forwards until it ends.
pub(super) async fn serve<C: AsyncRead + AsyncWrite + Unpin>(
    mut client: BufReader<C>,
    down: &mut Down<'_>,
    shared: &Shared,
) -> io::Result<()> {
    let asked = match timeout(IDLE, request(&mut client, shared)).await {
        Ok(asked) => asked?,
        Err(_) => return Ok(()),
    };
    let target = match asked {
        Ok(target) => target,
        Err(code) => {
            reply(&mut client, shared, code).await?;
            client.shutdown().await?;
            return Err(invalid("a SOCKS5 request for something else than a CONNECT to a host"));
        }
    };
    shared.counters.request(true, &target.to_string());
    sleep(shared.config.delay).await;
    match connect(&shared.config.names, &target).await {
        Ok(origin) => {
            reply(&mut client, shared, SUCCEEDED).await?;
            pump::both(client, origin, down).await
        }
        Err(unreachable) => {
            shared.counters.failure(unreachable.why);
            reply(&mut client, shared, HOST_UNREACHABLE).await?;
            client.shutdown().await
        }
    }
}

/// The greeting and the request: where to, or the code to reply with.
async fn request<C: AsyncRead + AsyncWrite + Unpin>(client: &mut C, shared: &Shared) -> io::Result<Result<Target, u8>> {
    if client.read_u8().await? != VERSION {
        return Err(invalid("a greeting that is not of SOCKS5"));
    }
    let methods = counted(client).await?;
    let method = if shared.config.credentials.is_some() { USER_AND_PASSWORD } else { NO_AUTHENTICATION };
    if !methods.contains(&method) {
        client.write_all(&[VERSION, NO_METHOD]).await?;
        client.shutdown().await?;
        return Err(invalid("the client offers no acceptable way to authenticate"));
    }
    client.write_all(&[VERSION, method]).await?;
    client.flush().await?;
    if let Some((user, password)) = &shared.config.credentials {
        let version = client.read_u8().await?;
        let given = (counted(client).await?, counted(client).await?);
        let right = version == LOGIN_VERSION && given.0 == user.as_bytes() && given.1 == password.as_bytes();
        client.write_all(&[LOGIN_VERSION, u8::from(!right)]).await?;
        client.flush().await?;
        if !right {
            client.shutdown().await?;
            return Err(invalid("the client gives another user and password"));
        }
    }
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION {
        return Err(invalid("a request that is not of SOCKS5"));
    }
    let host = match kind {
        IPV4 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        IPV6 => format!("[{}]", std::net::Ipv6Addr::from(client.read_u128().await?)),
        NAME => String::from_utf8(counted(client).await?).map_err(|_| invalid("a host name that is not text"))?,
        _ => return Ok(Err(NO_SUCH_ADDRESS)),
    };
    let port = client.read_u16().await?;
    if command != CONNECT {
        return Ok(Err(NO_SUCH_COMMAND));
    }
    Ok(Target::parse(&format!("{host}:{port}"), None).ok_or(NO_SUCH_ADDRESS))
}

/// An octet that says how many follow, and those.
async fn counted<C: AsyncRead + Unpin>(client: &mut C) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut octets).await?;
    Ok(octets)
}

/// Replies with `code`; which address the proxy connects from is not said.
async fn reply<C: AsyncWrite + Unpin>(client: &mut C, shared: &Shared, code: u8) -> io::Result<()> {
    shared.counters.status(u16::from(code));
    client.write_all(&[VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0]).await?;
    client.flush().await
}
