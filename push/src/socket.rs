//! `GET /v1/ws`: tickets over WebSocket, subprotocol `dibs.v1`.

mod connection;
mod farewell;
mod upgrade;

pub(crate) use upgrade::upgrade;
