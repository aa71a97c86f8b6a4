//! A port that can be given up and taken again, and stays ours in between.
//!
//! Two sockets are bound to it, of which one listens at most: Linux lets them as long as both say `SO_REUSEADDR`.
//! When the one that listens is closed, the other keeps the system from giving the port to anybody, and who connects
//! is refused. To open again, the other one listens, and a third takes its place.

use std::{
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 128;

pub(super) struct Door {
    address: SocketAddr,
    listener: Option<TcpListener>,
    spare: Option<TcpSocket>,
}

impl Door {
    /// Open, at any free port of 127.0.0.1.
    pub(super) fn new() -> io::Result<Self> {
        let first = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = first.local_addr()?;
        let spare = Some(bound(address)?);
        Ok(Self { address, listener: Some(first.listen(BACKLOG)?), spare })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set_open(&mut self, open: bool) -> io::Result<()> {
        match (open, &self.listener) {
            (true, None) => {
                let next = bound(self.address)?;
                if let Some(spare) = self.spare.replace(next) {
                    self.listener = Some(spare.listen(BACKLOG)?);
                }
            }
            (false, Some(_)) => self.listener = None,
            _ => {}
        }
        Ok(())
    }

    /// The next who comes in; nobody while it is closed.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(client, _)| client),
            None => pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_door_refuses_keeps_its_port_and_opens_again() {
        let mut door = Door::new().unwrap();
        for _ in 0..20 {
            let (client, served) = tokio::join!(TcpStream::connect(door.address()), door.accept());
            assert!(client.is_ok() && served.is_ok());
            door.set_open(false).unwrap();
            let refused = TcpStream::connect(door.address()).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            assert!(TcpSocket::new_v4().unwrap().bind(door.address()).is_err(), "nobody takes it by chance");
            door.set_open(true).unwrap();
        }
    }
}
