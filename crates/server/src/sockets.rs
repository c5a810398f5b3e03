//! Sockets to listen with: made here, made ahead of giving up root, or handed over by systemd

use std::io;
use std::net::{self, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Sockets that listen already, for listeners that have their names or their addresses.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(Option<String>, net::TcpListener)>);

/// How many connections wait to be taken.
const BACKLOG: u32 = 1024;

impl Sockets {
    /// Adds one.
    ///
    /// # Errors
    ///
    /// When it is no socket that can be waited for.
    pub fn give(&mut self, name: Option<String>, socket: net::TcpListener) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        self.0.push((name, socket));
        Ok(())
    }

    /// The socket for a listener: the one with its name, or one without a name that has its address.
    pub(crate) fn take(&mut self, name: &str, address: SocketAddr) -> Option<net::TcpListener> {
        let at = self.place(name, address)?;
        Some(self.0.swap_remove(at).1)
    }

    fn place(&self, name: &str, address: SocketAddr) -> Option<usize> {
        let named = self
            .0
            .iter()
            .position(|(known, _)| known.as_deref() == Some(name));
        let same = |socket: &net::TcpListener| socket.local_addr().is_ok_and(|own| own == address);
        named.or_else(|| {
            // A name says what a socket is for, and so what it is not for.
            let mut all = self.0.iter();
            all.position(|(known, socket)| known.is_none() && same(socket))
        })
    }

    /// Whether there is a socket for a listener.
    pub fn has(&self, name: &str, address: SocketAddr) -> bool {
        self.place(name, address).is_some()
    }

    /// Where those listen that nobody has taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.0.iter().filter_map(|(name, socket)| {
            let address = socket.local_addr().ok()?;
            Some((name.as_deref().unwrap_or("without a name"), address))
        })
    }
}

/// Listens at an address; with `shared`, other processes of this user may do so too (SO_REUSEPORT).
///
/// # Errors
///
/// When the address cannot be had.
///
/// # Panics
///
/// Panics outside of a runtime.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<net::TcpListener> {
    bind(address, shared)?.into_std()
}

/// As [`listen`], for the runtime that it is called in.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    #[cfg(unix)]
    {
        // Else a server could not be started again while connections of the one before are dying away.
        socket.set_reuseaddr(true)?;
        if shared {
            socket.set_reuseport(true)?;
        }
    }
    #[cfg(not(unix))]
    if shared {
        return Err(io::ErrorKind::Unsupported.into());
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
