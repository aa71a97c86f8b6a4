//! The way back from the browser: a listener on loopback that hears where the vendor sends the person
//! (RFC 8252, 7.3).
//!
//! It lives for one sign-in. Whatever else knocks (a favicon, a page that guesses, a connection that says
//! nothing, a redirect of another attempt) is answered or dropped, and the wait goes on. What it answers
//! repeats nothing of what it was sent.

mod request;

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use connector_sdk::{
    Class, Clock, Context, Error, Result,
    auth::{Callback, SignIn},
    clock::timeout,
};
use futures_util::{
    StreamExt,
    future::{Either, select, select_all},
    stream::FuturesUnordered,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use url::{Host, Url};

use request::Head;

const OPERATION: &str = "sign in";

/// Browsers open connections ahead of need; more than these are dropped.
const CONNECTIONS: usize = 16;
/// A head comes at once, on loopback.
const HEAD_TAKES: Duration = Duration::from_secs(10);
/// A listener that cannot accept (no file handles) is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Ports that are tried where any will do.
const FREE_PORTS: u32 = 10;

const DONE: &str = "You may close this window. The program that you started says whether it is signed in.";
const REFUSED: &str = "The sign-in was refused. The program that you started says more.";
const STRANGE: &str = "This does not belong to the sign-in that is going on.";
const NOTHING: &str = "There is nothing here.";

/// Listens for the redirect of one sign-in.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_host::login::Loopback;
/// let loopback = Loopback::bind(&"http://127.0.0.1:0/callback".parse().unwrap()).await?;
/// assert_ne!(loopback.redirect_uri().port(), Some(0)); // a free one was found
/// // let sign_in = code.begin(loopback.redirect_uri().clone());
/// // let callback = loopback.wait(&cx, &sign_in, Duration::from_secs(300)).await?;
/// // let token = sign_in.exchange(&cx, &callback).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Loopback {
    /// One, or two where the address is a name: who listened at the other one would hear the redirect first.
    listeners: Vec<TcpListener>,
    redirect_uri: Url,
}

impl Loopback {
    /// Listens at this address, which is what the vendor is told: `http`, a loopback host, a path. Port 0,
    /// or none, stands for any free one. Vendors that compare it to the letter need a port.
    ///
    /// # Errors
    /// Config when it is no such address, or the port is taken.
    pub async fn bind(address: &Url) -> Result<Self> {
        let refused = |what: &str| Error::config(OPERATION, format!("the redirect address {what}"));
        let ips: &[IpAddr] = match address.host() {
            _ if address.scheme() != "http" => return Err(refused("is no http URL")),
            // RFC 8252, 8.3: bound to the interfaces by number, whatever the name resolves to; and to both,
            // because a browser may try either first.
            Some(Host::Domain("localhost")) => {
                &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            Some(Host::Ipv4(ip)) if ip.is_loopback() => &[ip.into()],
            Some(Host::Ipv6(ip)) if ip.is_loopback() => &[ip.into()],
            _ => return Err(refused("is not on loopback: write http://127.0.0.1:PORT/PATH")),
        };
        let plain = address.username().is_empty() && address.password().is_none();
        if !plain || address.query().is_some() || address.fragment().is_some() {
            return Err(refused("has more than host, port and path"));
        }
        let cannot = |error| refused("cannot be listened to: is its port taken?").with_source(error);
        let asked = address.port().unwrap_or_default();
        let mut tries = if asked == 0 { FREE_PORTS } else { 1 };
        let (listeners, port) = loop {
            tries -= 1;
            match listen(ips, asked).await {
                Ok(bound) => break bound,
                // Free for the one family, and not for the other: another is.
                Err(error) if tries > 0 && error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(cannot(error)),
            }
        };
        let mut redirect_uri = address.clone();
        redirect_uri.set_port(Some(port)).map_err(|()| refused("can have no port"))?;
        Ok(Self { listeners, redirect_uri })
    }

    /// The address, with its port.
    #[must_use]
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Waits for the redirect that answers this sign-in, for so long at most.
    ///
    /// # Errors
    /// Auth when nobody has signed in by then, or the context's stop was asked for.
    pub async fn wait(self, cx: &Context, sign_in: &SignIn, limit: Duration) -> Result<Callback> {
        let clock = &**cx.clock();
        let heard = timeout(clock, limit, self.hear(clock, sign_in));
        let stopped = std::pin::pin!(cx.stop().cancelled());
        match select(std::pin::pin!(heard), stopped).await {
            Either::Left((Ok(callback), _)) => Ok(callback),
            Either::Left((Err(elapsed), _)) => {
                Err(Error::new(Class::Auth, OPERATION, format!("nobody has signed in: {elapsed}")))
            }
            Either::Right(_) => {
                Err(Error::new(Class::Auth, OPERATION, "stopped before anybody had signed in"))
            }
        }
    }

    async fn hear(&self, clock: &dyn Clock, sign_in: &SignIn) -> Callback {
        let mut talks = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.accept() => match accepted {
                    Ok(stream) if talks.len() < CONNECTIONS => {
                        talks.push(timeout(clock, HEAD_TAKES, self.talk(stream, sign_in)));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        clock.sleep(PAUSE).await;
                    }
                },
                Some(heard) = talks.next() => {
                    if let Ok(Some(callback)) = heard {
                        return callback;
                    }
                }
            }
        }
    }

    /// The next connection, to whichever listener it comes.
    async fn accept(&self) -> std::io::Result<TcpStream> {
        let accepting = self.listeners.iter().map(|listener| Box::pin(listener.accept()));
        select_all(accepting).await.0.map(|(stream, _)| stream)
    }

    /// One connection, one request. Some when it was the redirect.
    async fn talk(&self, mut stream: TcpStream, sign_in: &SignIn) -> Option<Callback> {
        let head = Head::read(&mut stream).await?;
        let (status, text, callback) = self.judge(&head, sign_in);
        let answer = page(status, text);
        // The redirect counts whether or not the browser still listens.
        if stream.write_all(answer.as_bytes()).await.is_ok() {
            let _ = stream.shutdown().await;
        }
        callback
    }

    fn judge(&self, head: &Head, sign_in: &SignIn) -> (&'static str, &'static str, Option<Callback>) {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        // Another host name on our port is a page that has rebound its name to loopback.
        let ours = head.host.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(&self.authority()));
        if !ours || path != self.redirect_uri.path() {
            return ("404 Not Found", NOTHING, None);
        }
        if head.method != "GET" {
            return ("405 Method Not Allowed", NOTHING, None);
        }
        match Callback::from_query(query) {
            Ok(callback) if sign_in.recognises(&callback) => {
                let text = if callback.is_refusal() { REFUSED } else { DONE };
                ("200 OK", text, Some(callback))
            }
            _ => ("400 Bad Request", STRANGE, None),
        }
    }

    /// What a browser puts into `Host`: it leaves out the port that the scheme has anyway.
    fn authority(&self) -> String {
        let host = self.redirect_uri.host_str().unwrap_or_default();
        self.redirect_uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Listens at these addresses, and at one port. A family that the machine does not have is left out: nobody
/// can listen there.
async fn listen(ips: &[IpAddr], port: u16) -> std::io::Result<(Vec<TcpListener>, u16)> {
    let (mut listeners, mut port) = (Vec::new(), port);
    for ip in ips {
        match TcpListener::bind(SocketAddr::new(*ip, port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if is_missing(&error) && ips.len() > 1 => {
                tracing::debug!(%error, %ip, "not listened to");
            }
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() { Err(ErrorKind::AddrNotAvailable.into()) } else { Ok((listeners, port)) }
}

/// No such family: `EADDRNOTAVAIL` (99 on Linux, 49 on macOS) where it is switched off, `EAFNOSUPPORT` (97, 47)
/// where it is not there at all, for which the standard library has no kind.
fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(97 | 47))
}

fn page(status: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>connector</title><p>{text}</p></html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: default-src 'none'\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests;
