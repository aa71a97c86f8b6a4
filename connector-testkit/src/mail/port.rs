//! Ports that were free a moment ago.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// How often a server is begun with other ports when somebody was quicker.
pub(super) const TRIES: u32 = 5;

/// So many ports of loopback that nobody listens at. A server binds them itself, so that somebody may be quicker.
pub(super) fn free<const N: usize>() -> io::Result<[u16; N]> {
    // All are held until all are found, so that they differ.
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
