//! Where a message must not go, however its address is written, whoever answers for its name, wherever it is redirected:
//! no connection is made.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::{Class, Delivery, Network, SystemClock, contract::ActionStatus, http::Resolve};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    endpoint::{Endpoint, Reply},
    support::{World, until},
};

/// A name, which a resolver answers for: its answer is judged when a message is delivered.
const NAME: &str = "a name";
/// No URL, or none that a message is sent to.
const CONFIG: &str = "Config";
/// An address, judged before a message is kept.
const REFUSED: &str = "refused";

/// Hosts as they stand in a URL.
const HOSTS: &[(&str, &str)] = &[
    // This machine, in the numbers of the URL standard: decimal, hex, octal, short, mixed.
    ("127.0.0.1", REFUSED),
    ("127.1", REFUSED),
    ("127.0.1", REFUSED),
    ("127.255.255.254", REFUSED),
    ("127.0.0.2", REFUSED),
    ("2130706433", REFUSED),
    ("0x7f000001", REFUSED),
    ("0X7F.1", REFUSED),
    ("0x7f.0x0.0x0.0x1", REFUSED),
    ("017700000001", REFUSED),
    ("0177.0.0.1", REFUSED),
    ("0177.0x0.0.1", REFUSED),
    ("00000177.1", REFUSED),
    ("127.65530", REFUSED),
    ("127.16777215", REFUSED),
    ("127.0.0.1.", REFUSED),
    ("2130706433.", REFUSED),
    ("127.000.000.001", REFUSED),
    // Percent-encoding and IDNA.
    ("%31%32%37.0.0.1", REFUSED),
    ("127%2e0%2e0%2e1", REFUSED),
    ("%30x7f.1", REFUSED),
    ("１２７.0.0.1", REFUSED),
    ("127。0。0。1", REFUSED),
    ("127｡0｡0｡1", REFUSED),
    ("①②⑦.⓪.⓪.①", REFUSED),
    ("𝟭𝟮𝟳.0.0.1", REFUSED),
    ("¹²⁷.0.0.1", REFUSED),
    ("127\u{ad}.0.0.1", REFUSED),
    ("127.0.\u{200b}0.1", REFUSED),
    ("127.\t0.0.1", REFUSED),
    ("\\\\127.0.0.1", REFUSED),
    ("/127.0.0.1", REFUSED),
    // Its names.
    ("localhost", REFUSED),
    ("localhost.", REFUSED),
    ("LOCALHOST", REFUSED),
    ("a.localhost", REFUSED),
    ("a.b.LocalHost.", REFUSED),
    ("ｌｏｃａｌｈｏｓｔ", REFUSED),
    ("ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", REFUSED),
    ("%6cocalhost", REFUSED),
    ("loc\u{ad}alhost", REFUSED),
    // IPv6, and what embeds this machine in it.
    ("[::1]", REFUSED),
    ("[0:0:0:0:0:0:0:1]", REFUSED),
    ("[0000:0000:0000:0000:0000:0000:0000:0001]", REFUSED),
    ("[::]", REFUSED),
    ("[::ffff:127.0.0.1]", REFUSED),
    ("[::ffff:7f00:1]", REFUSED),
    ("[0:0:0:0:0:ffff:7f00:1]", REFUSED),
    ("[::127.0.0.1]", REFUSED),
    ("[::7f00:1]", REFUSED),
    ("[::ffff:0:127.0.0.1]", REFUSED),
    ("[64:ff9b::127.0.0.1]", REFUSED),
    ("[64:ff9b::7f00:1]", REFUSED),
    ("[64:ff9b:1::7f00:1]", REFUSED),
    ("[2002:7f00:1::]", REFUSED),
    ("[2002:7f00:0001::1]", REFUSED),
    ("[2001:0:4136:e378:8000:63bf:80ff:fffe]", REFUSED),
    ("[2001::1]", REFUSED),
    // This network, private networks, what lies behind a carrier.
    ("0", REFUSED),
    ("0.0.0.0", REFUSED),
    ("0x0", REFUSED),
    ("0.1", REFUSED),
    ("1", REFUSED),
    ("10.0.0.1", REFUSED),
    ("10.1", REFUSED),
    ("0xa000001", REFUSED),
    ("167772161", REFUSED),
    ("012.0.0.1", REFUSED),
    ("10.255.255.255", REFUSED),
    ("172.16.0.1", REFUSED),
    ("172.31.255.255", REFUSED),
    ("0xac.0x10.1", REFUSED),
    ("2886729729", REFUSED),
    ("192.168.0.1", REFUSED),
    ("192.168.257", REFUSED),
    ("0xc0a80001", REFUSED),
    ("3232235521", REFUSED),
    ("0300.0250.0.1", REFUSED),
    ("192。168。1。1", REFUSED),
    ("100.64.0.1", REFUSED),
    ("100.127.255.254", REFUSED),
    ("[::ffff:10.0.0.1]", REFUSED),
    ("[::ffff:192.168.0.1]", REFUSED),
    ("[::ffff:172.16.0.1]", REFUSED),
    ("[::10.0.0.1]", REFUSED),
    ("[64:ff9b::a00:1]", REFUSED),
    ("[64:ff9b:1::a00:1]", REFUSED),
    ("[2002:a00:1::]", REFUSED),
    ("[2002:c0a8:1::1]", REFUSED),
    ("[fc00::1]", REFUSED),
    ("[fd00::1]", REFUSED),
    ("[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", REFUSED),
    ("[fec0::1]", REFUSED),
    ("[feff::1]", REFUSED),
    ("[fe80::1]", REFUSED),
    ("[febf::1]", REFUSED),
    // What hands out credentials of clouds.
    ("169.254.169.254", REFUSED),
    ("169.254.170.2", REFUSED),
    ("169.254.43518", REFUSED),
    ("2852039166", REFUSED),
    ("0xa9fea9fe", REFUSED),
    ("0xa9.0xfe.0xa9.0xfe", REFUSED),
    ("0251.0376.0251.0376", REFUSED),
    ("０xa9fea9fe", REFUSED),
    ("[::ffff:169.254.169.254]", REFUSED),
    ("[::ffff:a9fe:a9fe]", REFUSED),
    ("[::a9fe:a9fe]", REFUSED),
    ("[64:ff9b::a9fe:a9fe]", REFUSED),
    ("[2002:a9fe:a9fe::]", REFUSED),
    ("[fd00:ec2::254]", REFUSED),
    ("[fd20:ce::254]", REFUSED),
    ("100.100.100.200", REFUSED),
    ("168.63.129.16", REFUSED),
    ("192.0.0.192", REFUSED),
    ("metadata.google.internal", REFUSED),
    ("METADATA.google.internal.", REFUSED),
    ("a.metadata.google.internal", REFUSED),
    // What is for documents, tests, many at once, or nobody.
    ("192.0.0.1", REFUSED),
    ("192.0.2.1", REFUSED),
    ("198.51.100.1", REFUSED),
    ("203.0.113.1", REFUSED),
    ("192.88.99.1", REFUSED),
    ("198.18.0.1", REFUSED),
    ("198.19.255.255", REFUSED),
    ("224.0.0.1", REFUSED),
    ("239.255.255.250", REFUSED),
    ("240.0.0.1", REFUSED),
    ("255.255.255.255", REFUSED),
    ("0xffffffff", REFUSED),
    ("4294967295", REFUSED),
    ("[2001:db8::1]", REFUSED),
    ("[3fff::1]", REFUSED),
    ("[5f00::1]", REFUSED),
    ("[100::1]", REFUSED),
    ("[2001:2::1]", REFUSED),
    ("[2001:10::1]", REFUSED),
    ("[2001:20::1]", REFUSED),
    ("[ff02::1]", REFUSED),
    ("[ff05::2]", REFUSED),
    ("[4000::1]", REFUSED),
    ("[1::]", REFUSED),
    // Names: whoever answers for them says loopback.
    ("public.example", NAME),
    ("127.0.0.1.nip.io", NAME),
    ("127-0-0-1.sslip.io", NAME),
    ("localtest.me", NAME),
    ("localhost.localdomain", NAME),
    ("ip6-localhost", NAME),
    ("notlocalhost", NAME),
    ("localhost.example", NAME),
    ("metadata", NAME),
    ("instance-data", NAME),
    ("kubernetes.default.svc", NAME),
    ("xn--mnchen-3ya.example", NAME),
    ("münchen.example", NAME),
    // A name or a password in the URL is none of ours, whatever is behind it.
    ("public.example@127.0.0.1", CONFIG),
    ("127.0.0.1@public.example", CONFIG),
    ("public.example:80@127.0.0.1", CONFIG),
    ("public.example%2f@127.0.0.1", CONFIG),
    ("a@b@127.0.0.1", CONFIG),
    ("[::1]@127.0.0.1", CONFIG),
    ("user@localhost", CONFIG),
    // No URL at all.
    ("", CONFIG),
    ("256.0.0.1", CONFIG),
    ("127.0.0.1.1.1", CONFIG),
    ("0x7f.0.0.0.1", CONFIG),
    ("1.2.3.4.5", CONFIG),
    ("[::1", CONFIG),
    ("[::1%25lo]", CONFIG),
    ("[fe80::1%eth0]", CONFIG),
    ("[127.0.0.1]", CONFIG),
    ("[::ffff:127.0.0.1.5]", CONFIG),
    ("a b", CONFIG),
    ("a\0b", CONFIG),
    ("a<b", CONFIG),
    ("a%00b", CONFIG),
];

/// Says what the test wants, in order, and the last of it for ever.
#[derive(Debug, Default)]
struct Resolver {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Resolver {
    fn says(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolve for Resolver {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// Listens where nobody may go, on 127.0.0.1 and ::1, at one port.
struct Trap {
    port: u16,
    sprung: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Trap {
    async fn at(port: Option<u16>) -> Self {
        let first = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await.unwrap();
        let port = first.local_addr().unwrap().port();
        // A machine without IPv6 has no ::1 to be kept away from.
        let second = TcpListener::bind(SocketAddr::new("::1".parse().unwrap(), port)).await.ok();
        let sprung = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for listener in [Some(first), second].into_iter().flatten() {
            let sprung = Arc::clone(&sprung);
            tasks.spawn(async move {
                while listener.accept().await.is_ok() {
                    sprung.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, sprung, _tasks: tasks }
    }

    /// Connections are accepted in their order: when that of the test itself is, all before it have been.
    async fn assert_untouched(&self) {
        assert_eq!(self.sprung.load(Ordering::SeqCst), 0, "somebody has connected to a refused address");
        drop(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        until("our own connection is seen", || self.sprung.load(Ordering::SeqCst) > 0).await;
        assert_eq!(self.sprung.load(Ordering::SeqCst), 1, "somebody has connected to a refused address");
    }
}

fn network(allow: &[&str]) -> Network {
    let mut network = Network::default();
    network.allow_http = true;
    network.allow = allow.iter().map(|range| range.parse().unwrap()).collect();
    network
}

fn world(url: &str, resolver: &Arc<Resolver>) -> World {
    let mut world = World::new(SystemClock::shared(), url).with("schedule", json!(["0s", "100ms", "100ms"]));
    world.network = network(&[]);
    world.resolver = Some(Arc::clone(resolver) as Arc<dyn Resolve>);
    world
}

#[test]
fn the_table_has_at_least_150_hosts() {
    let different: BTreeSet<_> = HOSTS.iter().map(|(host, _)| host).collect();
    assert_eq!(different.len(), HOSTS.len());
    assert!(HOSTS.iter().filter(|(_, what)| *what != CONFIG).count() >= 150, "{}", HOSTS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_to_write_an_address_leads_to_a_connection() {
    let trap = Trap::at(None).await;
    let resolver = Resolver::says(&[&["127.0.0.1", "::1"]]);
    for (host, what) in HOSTS {
        let world = world(&format!("http://{host}:{}/hooks", trap.port), &resolver);
        let asked = resolver.asked();
        let process = match world.try_sender() {
            Ok(process) => process,
            Err(error) => {
                assert_eq!((error.class(), *what), (Class::Config, CONFIG), "{host}: {error}");
                continue;
            }
        };
        let sent = process.act("send", json!({ "id": "m", "payload": 1 })).await;
        match *what {
            REFUSED => {
                let error = sent.unwrap_err();
                assert_eq!(
                    (error.class(), error.delivery()),
                    (Class::Permanent, Delivery::NotSent),
                    "{host}: {error}"
                );
                assert!(!world.outbox().exists(), "{host}: nothing is kept");
                let run = process.try_run().await.err().unwrap();
                assert_eq!(run.class(), Class::Permanent, "{host}: {run}");
            }
            NAME => {
                assert_eq!(sent.unwrap().status, ActionStatus::Accepted, "{host}");
                let running = process.run().await;
                running.drained().await;
                running.stop().await.unwrap();
                let told = world.deliveries().await;
                assert_eq!((&told[0]["status"], &told[0]["attempts"]), (&json!("dead"), &json!(1)), "{host}");
                assert_eq!(told[0]["tries"][0]["class"], json!("Permanent"), "{host}");
            }
            other => panic!("{host} is {other}, and was taken"),
        }
        assert_eq!(resolver.asked() - asked, usize::from(*what == NAME), "{host} and the resolver");
    }
    trap.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let trap = Trap::at(None).await;
    for answers in [
        // Public when it is looked at, private when it is connected: nobody looks twice.
        &[&["127.0.0.1"][..], &["9.9.9.9"]][..],
        &[&["::1"], &["127.0.0.1"]],
        &[&["10.0.0.1", "127.0.0.1", "::1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["64:ff9b::7f00:1", "169.254.169.254"]],
        &[&["0.0.0.0"]],
        &[&["::"]],
    ] {
        let resolver = Resolver::says(answers);
        let world = world(&format!("http://rebind.example:{}/", trap.port), &resolver);
        world.send("m").await;
        let running = world.run().await;
        running.drained().await;
        running.stop().await.unwrap();
        assert_eq!(resolver.asked(), 1, "{answers:?}");
        assert_eq!(world.deliveries().await[0]["status"], "dead", "{answers:?}");
    }
    trap.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_turns_private_between_attempts_is_refused_then() {
    let allowed = Endpoint::at("127.0.0.2:0", SystemClock::shared()).await;
    let trap = Trap::at(Some(allowed.address.port())).await;
    allowed.then([Reply::Raw(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec())]);
    let resolver = Resolver::says(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let mut world = world(&format!("http://rebind.example:{}/", trap.port), &resolver);
    world.network = network(&["127.0.0.2"]);
    world.send("m").await;
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!((allowed.count(), resolver.asked()), (1, 2));
    let told = world.deliveries().await;
    assert_eq!((&told[0]["status"], &told[0]["attempts"]), (&json!("dead"), &json!(2)));
    assert_eq!(told[0]["tries"][1]["class"], "Permanent");
    trap.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_leads_to_a_refused_address() {
    let allowed = Endpoint::at("127.0.0.2:0", SystemClock::shared()).await;
    let trap = Trap::at(Some(allowed.address.port())).await;
    let resolver = Resolver::says(&[&["127.0.0.1", "::1"]]);
    let mut world = world(&format!("http://{}/hooks", allowed.address), &resolver);
    world.network = network(&["127.0.0.2"]);
    let world = world.with("schedule", json!(["0s"])).with("ordered", json!(true));
    let hosts: Vec<&str> =
        HOSTS.iter().map(|(host, _)| *host).filter(|host| !host.contains(['\0', '\t'])).collect();
    let statuses = [301, 302, 303, 307, 308];
    let replies = hosts.iter().enumerate().map(|(index, host)| {
        let status = statuses[index % statuses.len()];
        let location = format!("http://{host}:{}/", trap.port);
        Reply::Raw(
            format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .into_bytes(),
        )
    });
    allowed.then(replies);
    let process = world.sender();
    process.accepted((0..hosts.len()).map(|number| format!("m{number}"))).await;
    let running = process.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!((allowed.count(), resolver.asked()), (hosts.len(), 0));
    assert!(world.deliveries().await.iter().all(|told| told["status"] == "dead"));
    trap.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plain_http_without_leave() {
    let resolver = Resolver::says(&[&["127.0.0.1"]]);
    let mut world = world("http://public.example/", &resolver);
    world.network = Network::default();
    let error = world.try_sender().err().unwrap();
    assert!(error.class() == Class::Config && error.message().contains("plain http"), "{error}");
}
