//! Networks of sandboxes: a namespace with nothing but loopback, and the node's own bridge.
//!
//! ```text
//!    pod's namespace                     node's namespace
//!    eth0 10.88.0.5/32 ──── veth pair ──── pwv… ── port ── bridge 10.88.0.1/24 ── routes ── uplink
//!         default via 10.88.0.1                                        │
//!                                             table of nftables: Services, host ports, masquerade
//! ```
//!
//! Pods reach each other through the node's routing, not over the bridge: their address is a /32, so that every packet to a Service, and
//! every answer, passes the node's address translation, with and without `br_netfilter`. Plain blocking functions; the binary fits them to
//! the driver's trait.

mod bridge;
mod error;
mod forward;
mod lease;
mod link;
mod namespace;
mod nft;
mod possible;
mod rules;
mod subnet;

pub use bridge::Bridge;
pub use error::NetworkError;
pub use forward::bring_up_loopback;
pub use lease::Leases;
pub use possible::{Possible, possible};
pub use rules::{Endpoint, HostPort, Rules, VirtualPort};
pub use subnet::{SubnetError, Subnets};
