//! What the servers of Dibs share of HTTP: problem documents, buyers' JWTs, bodies, origins,
//! the accept loop, metrics of requests, tasks that must not end.

pub mod bearer;
pub mod body;
pub mod buyer;
pub mod guest;
pub mod observe;
pub mod origins;
pub mod problem;
pub mod secrets;
pub mod serve;
pub mod vital;
