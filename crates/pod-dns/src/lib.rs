//! Names of Services and pods, as pods ask for them: what is known ([`zone`]), and what is answered ([`index`], pure).
//!
//! The program `podwright-dns` serves them on sockets that the node daemon gives it, for as long as its zone file is there: it outlives
//! the daemon, so that names go on resolving while that is restarted.

pub mod index;
pub mod server;
mod upstream;
pub mod watch;
pub mod zone;
