mod addresses;
mod network;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use addresses::{ADDRESSES, NAME, NO_URL};
use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Delivery, Error, Network, Result,
    http::{Call, HttpClient, Request, Resolve, Response, Transport, Url},
    resilience::Resilience,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::Service as _;

use crate::support::{soon, until};

/// Says what the test wants, in order, and the last of it for ever.
#[derive(Debug, Default)]
struct Resolver {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Resolver {
    fn says(answers: &[&[&str]]) -> Arc<Self> {
        let resolver = Self::default();
        resolver.set(answers);
        Arc::new(resolver)
    }

    fn set(&self, answers: &[&[&str]]) {
        *self.answers.lock().unwrap() = answers
            .iter()
            .map(|list| list.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Resolve for Resolver {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// Listens where nobody may go, on 127.0.0.1 and ::1, and on 127.0.0.2 where they may: all on one port.
struct Loopback {
    port: u16,
    trapped: Arc<AtomicUsize>,
    /// What stands in the head of each answer of 127.0.0.2, besides its length of nothing.
    head: Arc<Mutex<String>>,
    served: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Loopback {
    async fn start() -> Self {
        let bind = async |address: &str, port: u16| {
            TcpListener::bind(SocketAddr::new(address.parse().unwrap(), port)).await
        };
        // The port that is free on one address may be taken on another.
        let (port, allowed, traps) = loop {
            let allowed = bind("127.0.0.2", 0).await.unwrap();
            let port = allowed.local_addr().unwrap().port();
            let Ok(trap) = bind("127.0.0.1", port).await else { continue };
            // A machine without IPv6 has no ::1 to be kept away from.
            break (port, allowed, [Some(trap), bind("::1", port).await.ok()]);
        };
        let (trapped, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let head = Arc::new(Mutex::new("200 OK\r\n".to_owned()));
        let mut tasks = JoinSet::new();
        for trap in traps.into_iter().flatten() {
            let trapped = Arc::clone(&trapped);
            tasks.spawn(async move {
                while trap.accept().await.is_ok() {
                    trapped.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (heads, count) = (Arc::clone(&head), Arc::clone(&served));
        tasks.spawn(async move {
            while let Ok((mut socket, _)) = allowed.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let head = heads.lock().unwrap().clone();
                let _ = socket.read(&mut [0; 4096]).await;
                let answer = format!("HTTP/1.1 {head}connection: close\r\ncontent-length: 0\r\n\r\n");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, trapped, head, served, _tasks: tasks }
    }

    /// Connections are accepted in their order: when that of the test itself is, all before it have been.
    async fn assert_untouched(&self) {
        for (index, trap) in ["127.0.0.1", "::1"].into_iter().enumerate() {
            let before = self.trapped.load(Ordering::Relaxed);
            assert_eq!(before, index, "somebody has connected to a refused address");
            match TcpStream::connect(SocketAddr::new(trap.parse().unwrap(), self.port)).await {
                Ok(_) => until(|| self.trapped.load(Ordering::Relaxed) > before).await,
                Err(_) => assert_eq!(trap, "::1"),
            }
            let after = self.trapped.load(Ordering::Relaxed);
            assert!(after <= before + 1, "somebody has connected to a refused address");
        }
    }
}

fn network(allow: &[&str]) -> Network {
    let mut network = Network::default();
    network.allow_http = true;
    network.allow = allow.iter().map(|range| range.parse().unwrap()).collect();
    network
}

fn transport(network: &Network, resolver: Arc<Resolver>) -> Transport {
    Transport::with_resolver(network, &Resilience::default(), "test", resolver).unwrap()
}

async fn get(transport: &Transport, url: &str) -> Result<Response> {
    let cx = Context::builder("acme", "desk").build();
    soon(transport.clone().call(Call::new(cx, Request::get("query", url)))).await
}

/// The error says that an address of this range was refused, and before anything was sent.
fn assert_refused(error: &Error, range: &str, case: &str) {
    assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::NotSent), "{case}: {error:?}");
    let context = |wanted: &str| error.context().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let named = context("range").unwrap_or_default();
    assert!(named.starts_with(&format!("{range} (")), "{case}: {named} is not {range}");
    assert!(context("address").is_some_and(|address| address.parse::<IpAddr>().is_ok()), "{case}: {error}");
    assert!(context("host").is_some() && error.to_string().contains("`network.allow`"), "{case}: {error}");
}

#[test]
fn the_table_has_at_least_150_ways_to_write_an_address() {
    let different: BTreeSet<_> = ADDRESSES.iter().map(|(host, _)| host).collect();
    assert_eq!(different.len(), ADDRESSES.len());
    let refused = ADDRESSES.iter().filter(|(_, range)| *range != NO_URL && *range != NAME).count();
    assert!(refused >= 150, "{refused}");
}

#[tokio::test]
async fn no_way_to_write_a_refused_address_in_a_url_leads_to_a_connection() {
    let loopback = Loopback::start().await;
    let resolver = Resolver::says(&[&["127.0.0.1", "::1"]]);
    let transport = transport(&network(&[]), Arc::clone(&resolver));
    for (host, range) in ADDRESSES {
        let before = resolver.asked();
        let url = format!("http://{host}:{}/", loopback.port);
        let error = get(&transport, &url).await.unwrap_err();
        let asked = resolver.asked() - before;
        match *range {
            NO_URL => assert_eq!(error.class(), Class::Config, "{url}: {error:?}"),
            NAME => assert_refused(&error, "loopback", &url),
            range => assert_refused(&error, range, &url),
        }
        assert_eq!(asked, usize::from(*range == NAME), "{url} and the resolver");
    }
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn no_refused_address_that_a_resolver_answers_is_connected() {
    let loopback = Loopback::start().await;
    let resolver = Resolver::says(&[&[]]);
    let transport = transport(&network(&[]), Arc::clone(&resolver));
    let mut answers = 0;
    for (host, range) in ADDRESSES.iter().filter(|(_, range)| *range != NO_URL) {
        let Some(url) = Url::parse(&format!("http://{host}/")).ok() else { panic!("{host}") };
        let Ok(address) = url.host_str().unwrap().trim_matches(['[', ']']).parse::<IpAddr>() else {
            continue;
        };
        let address = address.to_string();
        for answer in [vec![&*address], vec![&*address, "127.0.0.1", "::1"]] {
            resolver.set(&[&answer]);
            let error =
                get(&transport, &format!("http://rebind.example:{}/", loopback.port)).await.unwrap_err();
            assert_refused(&error, range, &address);
            assert!(error.to_string().contains("host: rebind.example"), "{error}");
        }
        answers += 1;
    }
    assert!(answers >= 150, "{answers}");
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn no_redirect_leads_to_a_refused_address() {
    let loopback = Loopback::start().await;
    let resolver = Resolver::says(&[&["127.0.0.1", "::1"]]);
    let transport = transport(&network(&["127.0.0.2"]), Arc::clone(&resolver));
    for (host, _) in ADDRESSES.iter().filter(|(host, _)| *host != "127.0.0.2") {
        for scheme in ["http:", ""] {
            let location = format!("{scheme}//{host}:{}/", loopback.port);
            *loopback.head.lock().unwrap() = format!("302 Found\r\nlocation: {location}\r\n");
            let response = get(&transport, &format!("http://127.0.0.2:{}/", loopback.port)).await.unwrap();
            assert_eq!(response.status, 302, "{location}");
        }
    }
    assert_eq!(loopback.served.load(Ordering::Relaxed), (ADDRESSES.len() - 1) * 2);
    assert_eq!(resolver.asked(), 0);
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn a_refused_address_is_not_tried_again() {
    let loopback = Loopback::start().await;
    let cx = Context::builder("acme", "desk").network(network(&[])).build();
    let client = HttpClient::builder(&cx).build().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let url = format!("http://{host}:{}/?code=canary-7f3a9c", loopback.port);
        let error = client.send(&cx, Request::get("query", url)).await.unwrap_err();
        assert_refused(&error, "loopback", host);
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
    let counters = client.counters();
    assert_eq!((counters.requests.get(), counters.retries.get(), counters.unreachable.get()), (0, 0, 0));
    loopback.assert_untouched().await;
}
