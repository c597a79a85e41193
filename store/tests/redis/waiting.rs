//! Waiting for what servers do by themselves.

use std::time::Duration;

use super::server::Server;

/// Whether it answers, with this in its answer.
pub(crate) async fn says(node: &Server, words: &[&str], text: &str) -> bool {
    node.try_ask::<String>(words).await.is_ok_and(|answer| answer.contains(text))
}

/// Everything that a master has answered is on its replica too, so that its end loses nothing.
pub(crate) async fn replicated(master: &Server) {
    until(|| async {
        let info: String = master.ask(&["INFO", "replication"]).await;
        let number = |name| {
            let (_, rest) = info.split_once(name).unwrap();
            rest.split([',', '\r']).next().unwrap().parse::<u64>().unwrap()
        };
        number("master_repl_offset:") == number(",offset=")
    })
    .await;
}

/// Looks until it is so; a failure guard ends it.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it becomes so");
}
