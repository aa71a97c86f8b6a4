//! The resilience stack alone, around any HTTP API: no connector, no host, no Bronze.
//!
//! `cargo run --example resilient_client` asks a server on loopback that fails, then throttles, then answers.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use connector_sdk::{
    Context, Network, Secret,
    auth::StaticToken,
    http::{HttpClient, Request},
    resilience::Resilience,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(unreliable(listener));

    // What may be reached, how failures are met, and who asks: a connection of a tenant.
    let mut settings = Resilience::default();
    settings.max_attempts = 4;
    settings.deadline = Duration::from_secs(30);
    let cx = Context::builder("acme", "contacts").network(Network::loopback()).resilience(settings).build();
    let token = Arc::new(StaticToken::new(Secret::from("t-1")));
    let client = HttpClient::builder(&cx).base_url(url).tokens(token).build()?;

    let page = client.send(&cx, Request::get("list", "/contacts").query("page", "1")).await?;
    println!("{} {}", page.status, String::from_utf8_lossy(&page.body));

    // A POST without an idempotency key is sent once: what became of it, nobody can know.
    if let Err(error) = client.send(&cx, Request::post("create", "/contacts", "application/json", "{}")).await
    {
        println!("{:?}: {error}", error.class());
    }

    println!("{:#?}\n{:#?}", client.counters(), client.health(&cx));
    Ok(())
}

/// Fails, throttles, answers; and hangs up on a write.
async fn unreliable(listener: TcpListener) -> std::io::Result<()> {
    for answer in [
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 16\r\nconnection: close\r\n\r\n[{\"name\":\"Ada\"}]",
        "",
    ] {
        let (mut socket, _) = listener.accept().await?;
        let _ = socket.read(&mut [0; 4096]).await?;
        socket.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
