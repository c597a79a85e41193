//! Tasks that must not end before their process does.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// Fires `ended` when the task ends, by panic or otherwise, so that whoever listens can end the
/// process instead of letting it go on without a part.
pub fn vital<F>(ended: &CancellationToken, task: F) -> impl Future<Output = ()> + use<F>
where
    F: Future<Output = ()>,
{
    let ended = ended.clone();
    async move {
        let _fires_when_dropped = ended.drop_guard();
        task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::task::TaskTracker;

    #[tokio::test]
    async fn a_task_that_dies_is_noticed() {
        let ended = CancellationToken::new();
        let task = TaskTracker::new().spawn(vital(&ended, async { panic!("on purpose") }));
        ended.cancelled().await;
        assert!(task.await.unwrap_err().is_panic());
    }
}
