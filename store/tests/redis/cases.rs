//! Every case of the contract in one test, on one set of processes that ends with it.

use std::collections::HashMap;
use std::sync::Arc;

use store::gate::{Bounds, Gate};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use super::engine::Place;

/// Cases that run at once.
const AT_ONCE: usize = 4;

/// The cases on one address.
pub(crate) struct Cases {
    url: String,
    turns: Arc<Semaphore>,
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Cases {
    pub(crate) fn on(url: &str) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { url: url.to_owned(), turns, running: JoinSet::new(), names: HashMap::new() }
    }

    /// Runs one on a gate and a prefix of its own.
    pub(crate) fn run<F>(
        &mut self,
        name: &'static str,
        bounds: Bounds,
        case: impl FnOnce(Gate) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let (url, turns) = (self.url.clone(), self.turns.clone());
        let task = self.running.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let gate = Place::new(&url).open(bounds).await;
            case(gate.clone()).await;
            gate.close().await;
        });
        self.names.insert(task.id(), name);
    }

    /// Waits for all of them; fails with the names of those that do not hold.
    pub(crate) async fn hold(mut self) {
        assert!(self.names.len() >= 40, "the list is not whole: {}", self.names.len());
        let mut broken = Vec::new();
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = ended {
                broken.push(self.names[&error.id()]);
            }
        }
        assert!(broken.is_empty(), "these do not hold: {broken:?}");
    }
}
