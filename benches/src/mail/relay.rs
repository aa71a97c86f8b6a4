//! A relay on loopback that counts round trips: how often a client speaks after the server has spoken.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::Outcome;

pub(super) struct Relay {
    address: SocketAddr,
    turns: Arc<AtomicU64>,
}

impl Relay {
    /// Relays to this server, until the process ends.
    pub(super) fn before(server: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let turns = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&turns);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let heard = Arc::new(AtomicBool::new(false));
                let (counted, spoken) = (Arc::clone(&counted), Arc::clone(&heard));
                thread::spawn(move || {
                    copy(from_client, to_server, || {
                        if heard.swap(false, Ordering::Relaxed) {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
                thread::spawn(move || copy(server, client, || spoken.store(true, Ordering::Relaxed)));
            }
        });
        Ok(Self { address, turns })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, passed: impl Fn()) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = from.read(&mut buffer) {
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else { break };
        passed();
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
