//! Rotation against a vendor that takes each refresh token once and revokes all when one comes back.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Network, Result, Secret, SystemClock,
    auth::{RefreshToken, TokenEndpoint, TokenSource},
    secret::{TokenLock, TokenStore},
};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    task::JoinHandle,
};

use super::Store;
use crate::support::soon;

/// What the vendor knows of one user's approval (RFC 9700, 4.14.2).
#[derive(Debug, Default)]
struct Family {
    exchanges: u32,
    refusals: u32,
    revoked: bool,
}

impl Family {
    /// `r-N` is good after N - 1 exchanges, and only then.
    fn exchange(&mut self, token: &str) -> (&'static str, String) {
        if self.revoked || token != format!("r-{}", self.exchanges + 1) {
            self.revoked = true;
            self.refusals += 1;
            return ("400 Bad Request", r#"{"error":"invalid_grant"}"#.to_owned());
        }
        self.exchanges += 1;
        let (access, refresh) = (self.exchanges, self.exchanges + 1);
        let body =
            format!(r#"{{"access_token":"t-{access}","token_type":"Bearer","refresh_token":"r-{refresh}"}}"#);
        ("200 OK", body)
    }
}

struct Vendor {
    cx: Context,
    endpoint: TokenEndpoint,
    family: Arc<Mutex<Family>>,
    task: JoinHandle<()>,
}

impl Vendor {
    async fn start(store: Arc<dyn TokenStore>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap()).parse().unwrap();
        let family = Arc::<Mutex<Family>>::default();
        let state = Arc::clone(&family);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
        });
        let cx = context(store);
        let endpoint = TokenEndpoint::new(&cx, url).unwrap();
        Self { cx, endpoint, family, task }
    }

    fn source(&self) -> RefreshToken {
        RefreshToken::new(self.endpoint.clone(), "client", None, "r-1".into())
    }

    /// Exchanges and refusals so far.
    fn seen(&self) -> (u32, u32) {
        let family = self.family.lock().unwrap();
        (family.exchanges, family.refusals)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn context(store: Arc<dyn TokenStore>) -> Context {
    Context::builder("acme", "desk")
        .clock(SystemClock::shared())
        .network(Network::loopback())
        .tokens(store)
        .build()
}

async fn serve(stream: TcpStream, family: Arc<Mutex<Family>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let token = url::form_urlencoded::parse(&body)
            .find(|(name, _)| name == "refresh_token")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        let (status, body) = family.lock().unwrap().exchange(&token);
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_71_a_thousand_callers_go_through_two_hundred_rotations_with_one_exchange_each() {
    const CALLERS: usize = 1000;
    const ROTATIONS: u32 = 200;
    let store = Arc::<Store>::default();
    let vendor = Vendor::start(store.clone()).await;
    let (source, barrier) = (Arc::new(vendor.source()), Arc::new(Barrier::new(CALLERS)));
    let callers = (0..CALLERS).map(|_| {
        let (cx, source, barrier) = (vendor.cx.clone(), Arc::clone(&source), Arc::clone(&barrier));
        tokio::spawn(async move {
            let mut token = source.token(&cx).await.unwrap();
            for round in 1..=ROTATIONS {
                // All hold the token that has just ended.
                barrier.wait().await;
                token = source.renew(&cx, &token).await.unwrap();
                assert_eq!(token.secret().expose(), &format!("t-{}", round + 1));
            }
        })
    });
    for caller in soon(join_all(callers)).await {
        caller.unwrap();
    }
    assert_eq!(vendor.seen(), (ROTATIONS + 1, 0), "exchanges and refusals");
    let kept = store.get("refresh_token").await.unwrap().unwrap();
    assert!(kept.expose().contains(&format!("\"r-{}\"", ROTATIONS + 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_90_processes_that_share_a_store_with_locks_never_use_a_token_twice() {
    let store = Arc::<Store>::default();
    let vendor = Vendor::start(store).await;
    let sources: Vec<_> = (0..4).map(|_| Arc::new(vendor.source())).collect();
    let processes = sources.iter().map(|source| {
        let (cx, source) = (vendor.cx.clone(), Arc::clone(source));
        tokio::spawn(async move {
            let mut token = source.token(&cx).await.unwrap();
            for _ in 0..5 {
                token = source.renew(&cx, &token).await.unwrap();
            }
        })
    });
    for process in join_all(processes).await {
        process.unwrap();
    }
    assert_eq!(vendor.seen(), (4 * 6, 0), "exchanges and refusals");
}

/// A store at which the process dies: what is put never arrives.
#[derive(Debug)]
struct Dying {
    store: Arc<Store>,
    reached: AtomicBool,
}

#[async_trait]
impl TokenStore for Dying {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        self.store.get(name).await
    }

    async fn put(&self, _: &str, _: Secret) -> Result<()> {
        self.reached.store(true, Ordering::Release);
        std::future::pending().await
    }

    async fn try_lock(&self, name: &str) -> Result<TokenLock> {
        self.store.try_lock(name).await
    }
}

#[tokio::test]
async fn case_71_a_process_that_dies_between_the_answer_and_the_disk_is_told_to_authorise_again() {
    let store = Arc::<Store>::default();
    let dying = Arc::new(Dying { store: Arc::clone(&store), reached: AtomicBool::new(false) });
    let vendor = Vendor::start(dying.clone()).await;
    let (source, cx) = (vendor.source(), vendor.cx.clone());
    let process = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut token = Box::pin(source.token(&cx));
            soon(async {
                while !dying.reached.load(Ordering::Acquire) {
                    assert!(futures_util::poll!(&mut token).is_pending(), "no token before it is durable");
                    tokio::task::yield_now().await;
                }
            })
            .await;
        });
        // With the runtime ends what runs in the background, as with a process.
        drop(runtime);
    });
    process.await.unwrap();
    assert_eq!(vendor.seen(), (1, 0));

    // The next process finds r-1, which the vendor has forgotten.
    let cx = context(store);
    let next = vendor.source();
    for _ in 0..100 {
        let error = soon(next.token(&cx)).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{error}");
        assert!(error.message().contains("authorise again"), "{error}");
    }
    assert_eq!(vendor.seen(), (1, 1), "asked once, however often it is wanted");
}
