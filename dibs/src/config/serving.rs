//! Where Dibs answers, and whom.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use edge::origins::Origin;

use super::parse;
use super::setting::section;

section! {
    /// Addresses and connections.
    Serving in "Addresses" {
        /// Where buyers and the admin API are answered.
        listen: SocketAddr = Plain("127.0.0.1:8080"), "ADDRESS", parse::address;
        /// Where /healthz, /readyz and /metrics are answered. Not for the public.
        ops_listen: SocketAddr = Plain("127.0.0.1:9090"), "ADDRESS", parse::address;
        /// Pages on other hosts that may call, as scheme://host:port separated by commas. The
        /// own host may always call, and so may a client that sends no Origin.
        origins: Vec<Origin> = Plain(""), "ORIGINS", origins;
        /// Connections at once; WebSockets may take seven of eight. Beyond it a new one gets a
        /// short 503, and a WebSocket is told to come back later.
        connections: usize = Plain("16000"), "N", parse::count(1..=1_000_000);
        /// How long a connection may take to send the header of a request.
        header_within: Duration = Plain("5s"), "DURATION", parse::duration(100..=parse::MINUTE);
        /// How long the end may take after a signal: clients are told, work in hand is finished.
        drain_within: Duration = Plain("10s"), "DURATION", parse::duration(1_000..=5 * parse::MINUTE);
    }
}

fn origins(text: &str) -> Result<Vec<Origin>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .map(|origin| {
            Origin::parse(origin).map_err(|rule| format!("{origin:?} is no origin; each {rule}"))
        })
        .collect()
}

/// How a server that listens there is reached from this machine.
pub fn local_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

impl Serving {
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        (self.listen == self.ops_listen && self.listen.port() != 0)
            .then_some("listen and ops_listen are the same address; give each its own port")
    }
}
