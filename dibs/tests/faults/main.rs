//! What the deployment must outlive, each fault in the middle of a load: two processes of each
//! role, a crowd that buys at both apis, and two operators who change one sale. In the end the
//! invariants are checked from outside.
//!
//! Whole engines are stopped and emptied here, so these run alone, one after the other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ask.rs"]
mod ask;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/sse.rs"]
mod sse;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ws.rs"]
mod ws;

#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/books.rs"]
mod books;
#[path = "../crash/buyer.rs"]
mod buyer;
#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/dice.rs"]
mod dice;
#[path = "../crash/eyes.rs"]
mod eyes;
#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/market.rs"]
mod market;
#[path = "../crash/memory.rs"]
mod memory;
#[path = "../crash/merchant.rs"]
mod merchant;

#[allow(dead_code, reason = "the tests of compose.yaml use all of it")]
#[path = "../compose/door.rs"]
mod door;
#[allow(dead_code, reason = "the tests of compose.yaml use all of it")]
#[path = "../compose/file.rs"]
mod file;

#[allow(dead_code, reason = "the tests on engines use all of it")]
#[path = "../engines/deployment.rs"]
mod deployment;
#[allow(dead_code, reason = "the tests on engines use all of it")]
#[path = "../engines/install.rs"]
mod install;
#[allow(dead_code, reason = "the tests on engines use all of it")]
#[path = "../engines/proxy.rs"]
mod proxy;

#[allow(dead_code, reason = "the tests of the gate use all of it")]
#[path = "../../../store/tests/redis/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests of the gate use all of it")]
#[path = "../../../store/tests/redis/engine.rs"]
mod engine;
#[allow(dead_code, reason = "the tests of the gate use all of it")]
#[path = "../../../store/tests/redis/server.rs"]
mod server;
#[allow(dead_code, reason = "the tests of the gate use all of it")]
#[path = "../../../store/tests/redis/waiting.rs"]
mod waiting;

mod load;
mod outage;
mod own_redis;
mod topic;

mod emptied;
mod failover;
mod killed;
mod poisoned;
mod rolling;
mod set_back;
mod silent;
mod stopped;
mod twice;
mod unanswered;
