//! A redis-server that belongs to one test, set back to what it held a while ago.

use std::fs;
use std::path::PathBuf;

use crate::server::Server;

/// What it holds at this moment.
pub(crate) async fn snapshot(redis: &Server) -> Vec<u8> {
    redis.command(&["SAVE"]).await;
    fs::read(file(redis).await).unwrap()
}

/// Kills it and starts it again with what it held then.
pub(crate) async fn set_back(redis: &mut Server, snapshot: &[u8]) {
    let file = file(redis).await;
    redis.kill();
    fs::write(file, snapshot).unwrap();
    redis.start_again();
}

async fn file(redis: &Server) -> PathBuf {
    let [_, folder] = redis.ask::<[String; 2]>(&["CONFIG", "GET", "dir"]).await;
    PathBuf::from(folder).join("dump.rdb")
}
