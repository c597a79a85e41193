//! A connection to Redis that comes back.
//!
//! The connection manager of the client is not used: it does not say whether a call was sent
//! before it failed, and it never tries again once Redis has refused a reconnect with an answer
//! (too many clients, a password that is being changed).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, RedisError, TlsCertificates,
};
use tokio::sync::Mutex;

use super::address::Address;
use super::fault::{self, Fault};

/// How long a new connection may take: less than a call, so that its caller hears of it.
const CONNECT: Duration = Duration::from_millis(1500);

/// How long an answer may take: less than a call, so that the caller hears what it was.
const RESPONSE: Duration = Duration::from_millis(1900);

/// After a failure this long nobody tries again; who calls meanwhile hears of the failure.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls that wait to be written. At the bound a caller waits, as long as his call may take.
const BUFFER: usize = 256;

/// A connection that is made anew when it is lost. Calls share it.
pub(super) struct Link {
    client: Client,
    wire: Mutex<Wire>,
}

enum Wire {
    Up(Connection),
    Down { at: Instant, error: RedisError },
}

#[derive(Clone)]
struct Connection {
    redis: MultiplexedConnection,
    lost: Arc<AtomicBool>,
}

impl Link {
    /// Connects. The certificate may be signed by a root of `ca` or by a usual one.
    pub(super) async fn open(address: &Address, ca: Option<&[u8]>) -> Result<Self, Fault> {
        let mut tried = Self::connect(client(address, ca)?).await;
        // The client trusts either the one or the other.
        if ca.is_some()
            && let Err(Fault::NotSent(error)) = &tried
            && fault::is_certificate(error)
        {
            let usual = Self::connect(client(address, None)?).await;
            tried = usual.or(tried);
        }
        tried
    }

    async fn connect(client: Client) -> Result<Self, Fault> {
        let connection = connect(&client).await.map_err(Fault::NotSent)?;
        Ok(Self { client, wire: Mutex::new(Wire::Up(connection)) })
    }

    /// A second connection to the same Redis.
    pub(super) async fn another(&self) -> Result<Self, Fault> {
        Self::connect(self.client.clone()).await
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection.redis).await;
        answer.map_err(|error| connection.failed(error))
    }

    /// Sends several commands at once.
    pub(super) async fn pipeline(&self, commands: &Pipeline) -> Result<(), Fault> {
        let mut connection = self.connection().await?;
        let answer = commands.exec_async(&mut connection.redis).await;
        answer.map_err(|error| connection.failed(error))
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        let mut wire = self.wire.lock().await;
        match &*wire {
            Wire::Up(connection) if !connection.lost.load(Ordering::Relaxed) => {
                return Ok(connection.clone());
            }
            Wire::Down { at, error } if at.elapsed() < PAUSE => {
                return Err(Fault::NotSent(error.clone()));
            }
            Wire::Up(_) | Wire::Down { .. } => {}
        }
        match connect(&self.client).await {
            Ok(connection) => {
                *wire = Wire::Up(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                *wire = Wire::Down { at: Instant::now(), error: error.clone() };
                Err(Fault::NotSent(error))
            }
        }
    }
}

impl Connection {
    fn failed(&self, error: RedisError) -> Fault {
        if fault::is_lost(&error) {
            self.lost.store(true, Ordering::Relaxed);
        }
        Fault::Sent(error)
    }
}

fn client(address: &Address, ca: Option<&[u8]>) -> Result<Client, Fault> {
    let build = || {
        let info = address.url().clone().into_connection_info()?;
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info
            .set_redis_settings(redis)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        match ca {
            Some(ca) if address.is_tls() => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.into()) };
                Client::build_with_tls(info, certificates).map_err(|error| {
                    let what = "engines_ca is not a PEM file of certificates";
                    RedisError::from((ErrorKind::InvalidClientConfig, what, error.to_string()))
                })
            }
            Some(_) | None => Client::open(info),
        }
    };
    build().map_err(Fault::NotSent)
}

async fn connect(client: &Client) -> Result<Connection, RedisError> {
    let lost = Arc::new(AtomicBool::new(false));
    let seen = lost.clone();
    // The only news that Redis sends unasked is that the connection is gone.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE))
        .set_pipeline_buffer_size(BUFFER)
        .set_push_sender(move |_| {
            seen.store(true, Ordering::Relaxed);
            Ok::<_, redis::aio::SendError>(())
        });
    let redis = client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok(Connection { redis, lost })
}
