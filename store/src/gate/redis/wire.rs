//! A connection to one Redis that comes back.
//!
//! The connection manager of the client is not used: it does not say whether a call was sent
//! before it failed, and it never tries again once Redis has refused a reconnect with an answer
//! (too many clients, a password that is being changed).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, RedisError, TlsCertificates, cmd,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::fault::{self, Fault};
use super::info::{self, Part};
use super::node::Node;
use super::sentinel::Sentinels;

/// How long a new connection may take: less than a call, so that its caller hears of it.
pub(super) const CONNECT: Duration = Duration::from_millis(1500);

/// How long an answer may take: less than a call, so that the caller hears what it was.
const RESPONSE: Duration = Duration::from_millis(1900);

/// After a failure this long nobody tries again; who calls meanwhile hears of the failure.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Calls that wait to be written. At the bound a caller waits, as long as his call may take.
const BUFFER: usize = 256;

/// A connection that is made when it is needed, and anew when it is lost. Calls share it.
pub(super) struct Wire {
    end: End,
    state: Mutex<State>,
}

/// Where it leads.
pub(super) enum End {
    /// To this server.
    Server(Server),
    /// To the master that Sentinels name, asked whenever it is made.
    Master(Sentinels),
}

enum State {
    /// Nobody has called yet.
    Idle,
    Up(Connection),
    Down {
        at: Instant,
        fault: Fault,
    },
}

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) to: Node,
    redis: MultiplexedConnection,
    lost: Arc<AtomicBool>,
}

impl Wire {
    pub(super) fn new(end: End) -> Self {
        Self { end, state: Mutex::new(State::Idle) }
    }

    /// Connects now, if it is not connected.
    pub(super) async fn connect(&self) -> Result<(), Fault> {
        self.connection().await.map(drop)
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection.redis).await;
        answer.map_err(|error| self.failed(&connection, error))
    }

    /// Asks what others are asked too, in less time than an answer may take. A connection on which
    /// no answer comes is lost: the way may be gone without a word, and nobody else would notice.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
        within: Duration,
    ) -> Result<T, Fault> {
        let until = Instant::now() + within;
        let Ok(connected) = timeout_at(until, self.connection()).await else {
            return Err(Fault::NotSent(too_slow()));
        };
        let mut connection = connected?;
        let asked = Instant::now();
        match timeout_at(until, command.query_async(&mut connection.redis)).await {
            Ok(answer) => answer.map_err(|error| self.failed(&connection, error)),
            Err(_) => {
                // One that took most of the time to be made has its turn next time.
                if asked.elapsed() * 2 >= within {
                    connection.lost.store(true, Ordering::Relaxed);
                }
                // To ask changes nothing.
                Err(Fault::NotSent(too_slow()))
            }
        }
    }

    /// Sends several commands at once.
    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        let answer = commands.query_async(&mut connection.redis).await;
        answer.map_err(|error| self.failed(&connection, error))
    }

    /// Sees that it leads where it should. If not, the next call connects anew: a master that was
    /// cut off from its Sentinels and not from here takes writes that will be lost.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        match &self.end {
            End::Server(_) => Ok(()),
            End::Master(sentinels) => {
                let connection = self.connection().await?;
                // Where no Sentinel answers, the master that does is good enough.
                if let Ok(named) = sentinels.named().await
                    && !named.contains(&connection.to)
                {
                    connection.lost.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Up(connection) if !connection.lost.load(Ordering::Relaxed) => {
                return Ok(connection.clone());
            }
            State::Down { at, fault } if at.elapsed() < PAUSE => return Err(fault.clone()),
            State::Idle | State::Up(_) | State::Down { .. } => {}
        }
        let made = tokio::time::timeout(CONNECT, self.end.connect()).await;
        match made.unwrap_or_else(|_| Err(Fault::NotSent(too_slow()))) {
            Ok(connection) => {
                *state = State::Up(connection.clone());
                Ok(connection)
            }
            Err(fault) => {
                *state = State::Down { at: Instant::now(), fault: fault.clone() };
                Err(fault)
            }
        }
    }

    fn failed(&self, connection: &Connection, error: RedisError) -> Fault {
        let lost = fault::is_lost(&error)
            || match &self.end {
                End::Server(_) => false,
                // It was demoted: the Sentinels know who is master.
                End::Master(_) => matches!(error.code(), Some("READONLY" | "MASTERDOWN")),
            };
        if lost {
            connection.lost.store(true, Ordering::Relaxed);
        }
        Fault::Sent(error)
    }
}

impl End {
    async fn connect(&self) -> Result<Connection, Fault> {
        match self {
            Self::Server(server) => server.connect().await,
            // Boxed, as a Sentinel has a wire of its own.
            Self::Master(sentinels) => Box::pin(sentinels.connect()).await,
        }
    }
}

/// A server, and what it is to be.
pub(super) struct Server {
    pub(super) node: Node,
    client: Client,
    part: Part,
}

impl Server {
    /// The certificate may be signed by a root of `ca`, or by a usual one if there is no `ca`.
    pub(super) fn new(url: &Url, ca: Option<&[u8]>, part: Part) -> Result<Self, Fault> {
        let client = client(url, ca).map_err(Fault::NotSent)?;
        Ok(Self { node: Node::of(url), client, part })
    }

    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
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
        let redis = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut redis = redis.map_err(Fault::NotSent)?;
        let info = cmd("INFO").query_async::<String>(&mut redis).await.map_err(Fault::NotSent)?;
        info::check(&info, self.part)?;
        Ok(Connection { to: self.node.clone(), redis, lost })
    }
}

fn client(url: &Url, ca: Option<&[u8]>) -> Result<Client, RedisError> {
    let info = url.clone().into_connection_info()?;
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info =
        info.set_redis_settings(redis).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    match ca {
        Some(ca) if url.scheme() == "rediss" => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.into()) };
            Client::build_with_tls(info, certificates).map_err(|error| {
                let what = "engines_ca is not a PEM file of certificates";
                RedisError::from((ErrorKind::InvalidClientConfig, what, error.to_string()))
            })
        }
        Some(_) | None => Client::open(info),
    }
}

/// Nobody answered in time.
fn too_slow() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
