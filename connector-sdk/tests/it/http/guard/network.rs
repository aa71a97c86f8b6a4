//! What is allowed, names that change their answers, and proxies.

use std::process::Command;

use super::*;

#[tokio::test]
async fn a_name_that_changes_its_answer_is_refused_at_the_next_connection() {
    let loopback = Loopback::start().await;
    let resolver = Resolver::says(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let transport = transport(&network(&["127.0.0.2"]), Arc::clone(&resolver));
    let url = format!("http://rebind.example:{}/", loopback.port);
    assert_eq!(get(&transport, &url).await.unwrap().status, 200);
    assert_refused(&get(&transport, &url).await.unwrap_err(), "loopback", "the second time");
    assert_eq!((resolver.asked(), loopback.served.load(Ordering::Relaxed)), (2, 1));
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn a_name_that_changes_its_answer_between_two_hops_is_refused_too() {
    let loopback = Loopback::start().await;
    *loopback.head.lock().unwrap() = "302 Found\r\nlocation: /second\r\n".to_owned();
    let resolver = Resolver::says(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let transport = transport(&network(&["127.0.0.2"]), Arc::clone(&resolver));
    let error = get(&transport, &format!("http://rebind.example:{}/", loopback.port)).await.unwrap_err();
    assert_refused(&error, "loopback", "the second hop");
    assert_eq!((resolver.asked(), loopback.served.load(Ordering::Relaxed)), (2, 1));
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_connected() {
    let loopback = Loopback::start().await;
    let answers: [&[&str]; 4] = [
        &["127.0.0.1", "::1", "127.0.0.2"],
        &["::1", "127.0.0.2", "127.0.0.1"],
        &["::ffff:127.0.0.1", "64:ff9b::7f00:1", "::ffff:127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
    ];
    for answer in answers {
        let resolver = Resolver::says(&[answer]);
        let transport = transport(&network(&["127.0.0.2/32"]), resolver);
        let response = get(&transport, &format!("http://mixed.example:{}/", loopback.port)).await.unwrap();
        assert_eq!(response.status, 200, "{answer:?}");
    }
    assert_eq!(loopback.served.load(Ordering::Relaxed), answers.len());
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn an_allowed_address_is_let_through_however_it_is_written() {
    let loopback = Loopback::start().await;
    let resolver = Resolver::says(&[&[]]);
    let transport = transport(&network(&["127.0.0.2"]), Arc::clone(&resolver));
    for host in ["127.0.0.2", "0x7f.2", "2130706434", "[::ffff:127.0.0.2]", "１２７.0.0.2"] {
        let response = get(&transport, &format!("http://{host}:{}/", loopback.port)).await.unwrap();
        assert_eq!(response.status, 200, "{host}");
    }
    // What merely embeds it is not.
    for host in ["[64:ff9b::127.0.0.2]", "[::127.0.0.2]", "[2002:7f00:2::]"] {
        let error = get(&transport, &format!("http://{host}:{}/", loopback.port)).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::NotSent), "{host}");
    }
    assert_eq!((resolver.asked(), loopback.served.load(Ordering::Relaxed)), (0, 5));
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn a_name_without_any_address_cannot_be_resolved() {
    let transport = transport(&network(&[]), Resolver::says(&[&[]]));
    let error = get(&transport, "http://nowhere.example/").await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error:?}");
    assert!(error.to_string().contains("cannot be resolved"), "{error}");
}

fn through(allow: &[&str], proxy: &str) -> Network {
    let mut network = network(allow);
    network.proxy = Some(proxy.into());
    network
}

#[tokio::test]
async fn the_address_of_a_proxy_is_judged_like_any_other() {
    let loopback = Loopback::start().await;
    for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "[64:ff9b::7f00:1]"] {
        let network = through(&["127.0.0.2"], &format!("http://user:canary-7f3a9c@{host}:{}", loopback.port));
        let error = Transport::new(&network, &Resilience::default(), "test").unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{host}: {error:?}");
        assert!(error.to_string().contains("network.proxy"), "{error}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
    let network =
        through(&["127.0.0.2"], &format!("http://user:canary-7f3a9c@proxy.example:{}", loopback.port));
    let transport = transport(&network, Resolver::says(&[&["127.0.0.1"]]));
    for url in ["http://vendor.example/", "https://vendor.example/"] {
        let error = get(&transport, url).await.unwrap_err();
        assert_refused(&error, "loopback", url);
        assert!(error.to_string().contains("host: proxy.example"), "{error}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
    loopback.assert_untouched().await;
}

#[tokio::test]
async fn behind_a_proxy_addresses_and_the_names_of_this_machine_are_still_judged() {
    let loopback = Loopback::start().await;
    let network = through(&["127.0.0.2"], &format!("http://127.0.0.2:{}", loopback.port));
    let resolver = Resolver::says(&[&[]]);
    let transport = transport(&network, Arc::clone(&resolver));
    let hosts = ["127.0.0.1", "2852039166", "[::1]", "localhost", "a.localhost.", "metadata.google.internal"];
    for host in hosts {
        for scheme in ["http", "https"] {
            let error = get(&transport, &format!("{scheme}://{host}/")).await.unwrap_err();
            assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::NotSent), "{error:?}");
        }
    }
    assert_eq!(loopback.served.load(Ordering::Relaxed), 0);
    // Other names are the proxy's business.
    assert_eq!(get(&transport, "http://vendor.example/").await.unwrap().status, 200);
    assert_eq!((resolver.asked(), loopback.served.load(Ordering::Relaxed)), (0, 1));
}

#[tokio::test]
async fn what_is_no_url_of_a_proxy_is_refused() {
    for proxy in
        ["127.0.0.1:3128", "proxy.example", "socks5://9.9.9.9", "localhost:3128", "file:///x", "http://"]
    {
        let error = Transport::new(&through(&[], proxy), &Resilience::default(), "test").unwrap_err();
        assert_eq!(error.class(), Class::Config, "{proxy}: {error:?}");
    }
}

#[tokio::test]
async fn a_request_goes_straight_to_its_host() {
    let loopback = Loopback::start().await;
    let transport = transport(&network(&["127.0.0.2"]), Resolver::says(&[&["127.0.0.2"]]));
    let response = get(&transport, &format!("http://vendor.example:{}/", loopback.port)).await.unwrap();
    assert_eq!(response.status, 200);
}

/// Runs the test above once more, in a process whose environment names a proxy that is not there.
#[test]
fn no_proxy_is_taken_from_the_environment() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "http::guard::network::a_request_goes_straight_to_its_host"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
