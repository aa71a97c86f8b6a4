//! The proxy before a server of lines, which says back what it hears: no HTTP anywhere.

use std::time::Duration;

use connector_testkit::fault::{Line, TcpProxy, Way};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

async fn proxy() -> TcpProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    TcpProxy::start(address).await.unwrap()
}

/// Says a line, and hears until the end.
async fn echo(proxy: &TcpProxy) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(proxy.address()).await?;
    socket.write_all(b"one two three\n").await?;
    let mut heard = String::new();
    socket.shutdown().await?;
    socket.read_to_string(&mut heard).await?;
    Ok(heard)
}

#[tokio::test]
async fn each_connection_meets_what_its_number_was_told() {
    let proxy = proxy().await;
    let (up, down) = (Way::Up, Way::Down);
    proxy.on(2..=2, Line::Close { way: down, after: 4 });
    proxy.on(3..=3, Line::Corrupt { way: up, at: 0 });
    proxy.on(4..=4, Line::Lose { way: up, at: 3, bytes: 4 });
    proxy.on(5..=5, Line::Repeat { way: down, at: 0, bytes: 4 });
    proxy.on(6..=6, Line::Throttle { way: down, bytes: 3, every: Duration::from_millis(1) });
    proxy.on(7..=7, Line::Delay { way: up, by: Duration::from_millis(2) });
    for heard in [
        "one two three\n",
        "one ",
        "nne two three\n",
        "one three\n",
        "one one two three\n",
        "one two three\n",
        "one two three\n",
    ] {
        assert_eq!(echo(&proxy).await.unwrap(), heard);
    }
    proxy.on(8.., Line::Reset { way: up, after: 0 });
    assert!(echo(&proxy).await.is_err());
    proxy.mend();
    assert_eq!(echo(&proxy).await.unwrap(), "one two three\n");
    let log = proxy.log();
    assert_eq!(log.len(), 9);
    assert_eq!((log[0].bytes, log[0].fault.clone()), ([14, 14], None));
    assert_eq!(log[7].fault, Some(Line::Reset { way: up, after: 0 }));
}

#[tokio::test]
async fn a_refusal_holds_until_it_is_mended() {
    let proxy = proxy().await;
    echo(&proxy).await.unwrap();
    proxy.next(1, Line::Refuse);
    // Who came while the door closed is reset; who comes after is refused.
    while !TcpStream::connect(proxy.address())
        .await
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    {
        tokio::task::yield_now().await;
    }
    proxy.mend();
    while TcpStream::connect(proxy.address()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_comes_while_all_places_are_taken_waits_or_is_turned_away() {
    let proxy = proxy().await;
    proxy.on(2..=2, Line::Wait { connections: 1 });
    proxy.on(3..=3, Line::TurnAway { connections: 1 });
    let mut first = TcpStream::connect(proxy.address()).await.unwrap();
    first.write_all(b"x").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    second.write_all(b"y").await.unwrap();
    assert_eq!(proxy.log().len(), 1, "connected, and not served");
    drop(first);
    assert_eq!(second.read_u8().await.unwrap(), b'y');
    let mut third = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(third.read_u8().await.is_err());
}
