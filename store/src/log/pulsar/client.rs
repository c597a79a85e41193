//! Clients of the broker, and how they are used without hanging.

use std::path::Path;
use std::time::Duration;

use pulsar::{
    Authentication, ConnectionRetryOptions, OperationRetryOptions, Pulsar, TokioExecutor,
};
use tokio_util::task::TaskTracker;

use super::Address;
use crate::log::LogError;

pub(super) type Client = Pulsar<TokioExecutor>;

/// Messages that wait for the broker's receipt, for each topic. At the bound a message is not
/// taken; a batch stays in the outbox and comes again when it is overdue.
pub(super) const IN_FLIGHT: usize = 256;

/// To connect, look up and set up, with the client's own tries.
const SET_UP: Duration = Duration::from_secs(12);

/// Connects a client.
///
/// Every step has an end of its own, so that a task which [`in_time`] no longer waits for ends
/// too. A receipt or a ping that times out takes the whole connection with it and everything
/// that shares it, so these limits are generous, and publishing and consuming have clients of
/// their own. So do two pings at once: a ping has ended, one way or the other, before the next
/// one is due.
pub(super) async fn connect(
    address: Address,
    ca: Option<impl AsRef<Path>>,
) -> Result<Client, pulsar::Error> {
    let mut client = Pulsar::builder(address.service(), TokioExecutor)
        .with_connection_retry_options(ConnectionRetryOptions {
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            max_retries: 2,
            connection_timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(12),
            ..ConnectionRetryOptions::default()
        })
        .with_operation_retry_options(OperationRetryOptions {
            operation_timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(250),
            max_retries: Some(20),
        })
        // The bound is kept before, and this queue must not be the narrower one.
        .with_outbound_channel_size(2 * IN_FLIGHT);
    if let Some(token) = address.token() {
        // The crate's own type for tokens cannot be handed to its builder.
        client = client.with_auth(Authentication {
            name: "token".to_owned(),
            data: token.as_bytes().to_vec(),
        });
    }
    if let Some(ca) = ca {
        client = client
            .with_certificate_chain_file(ca)
            .map_err(|error| pulsar::Error::Connection(error.into()))?;
    }
    client.build().await
}

/// Waits for a set-up, but not for ever.
///
/// Connecting and looking up must never be dropped half-way: every later call would wait for
/// the connection that nobody finishes. So it runs as a task of its own, to its end, whoever
/// stops waiting; what comes too late is dropped, and dropping closes it.
///
/// It begins before it is awaited: the crate's futures take tens of kilobytes, and this way they
/// do so on the heap alone, not in every future that waits for them.
pub(super) fn in_time<T, F>(
    tasks: &TaskTracker,
    set_up: F,
) -> impl Future<Output = Result<T, LogError>> + use<T, F>
where
    T: Send + 'static,
    F: Future<Output = Result<T, pulsar::Error>> + Send + 'static,
{
    let running = tasks.spawn(set_up);
    async move {
        match tokio::time::timeout(SET_UP, running).await {
            Ok(Ok(done)) => done.map_err(unavailable),
            Ok(Err(end)) => Err(LogError::Unavailable(end.to_string())),
            Err(_) => Err(late()),
        }
    }
}

pub(super) fn unavailable(error: pulsar::Error) -> LogError {
    LogError::Unavailable(in_one_line(&error.to_string()))
}

pub(super) fn late() -> LogError {
    LogError::Unavailable("the broker did not answer in time".to_owned())
}

/// The broker's own texts may have several.
pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
