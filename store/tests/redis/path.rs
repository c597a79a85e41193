//! A way to a server that can fall silent without a word, as one through a firewall does that has
//! forgotten it.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Ends with all its connections when it is dropped.
pub(crate) struct Path {
    pub(crate) port: u16,
    silenced: watch::Sender<()>,
    _accepts: JoinSet<()>,
}

impl Path {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silenced = watch::Sender::new(());
        let mut accepts = JoinSet::new();
        accepts.spawn(accept(listener, server, silenced.clone()));
        Self { port, silenced, _accepts: accepts }
    }

    /// Whatever is connected stays so and hears nothing more; who connects later is served.
    pub(crate) fn silence(&self) {
        self.silenced.send_replace(());
    }
}

async fn accept(listener: TcpListener, server: u16, silenced: watch::Sender<()>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut silenced = silenced.subscribe();
        connections.spawn(async move {
            // Where the server is away, its end closes as that of a refused connection would.
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = silenced.changed() => std::future::pending().await,
            }
        });
    }
}
