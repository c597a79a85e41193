//! The way to a Redis Cluster: each call goes to the node that has its slot.
//!
//! The client's own cluster connection (redis 1.8.1, `cluster-async`) is not used. It never leaves
//! a master that falls silent without closing its connections: an overdue answer makes it send
//! the call again on the same connection, and neither connect anew nor read the map, so that
//! calls failed for the whole minute of a test whose replica had taken over after two seconds.
//! Nor does it say whether a call that failed was sent.
//!
//! Here a call is sent again only where a node answered that it has not run it (MOVED, ASK,
//! CLUSTERDOWN), or where it was not sent: no script runs twice for one call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{select_ok, try_join_all};
use redis::{Cmd, Pipeline, Value, cmd, pipe};
use url::Url;

use super::address::Nodes;
use super::fault::Fault;
use super::info::Part;
use super::node::Node;
use super::reply::Unreadable;
use super::slot::{SLOTS, key_of, ranges, slot_of};
use super::wire::{CONNECT, End, PAUSE, Server, Wire};

/// How often one call is sent on before its caller hears of it.
const REDIRECTS: usize = 5;

/// How long it may take to read the map anew: a call that could not connect to a node still ends
/// in time to say that it was not sent.
const LEARN: Duration = Duration::from_millis(400);

/// The nodes of a cluster, as far as calls need them.
pub(super) struct Cluster {
    /// Those of the address, which are asked too when the others fail.
    seeds: Vec<Node>,
    /// A URL of a node, but for host and port.
    like: Url,
    ca: Option<Vec<u8>>,
    map: Mutex<Map>,
    /// When the map was last asked for. One caller asks, others wait for what he hears.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// Who has which slots. Bounded by the cluster: whoever is neither owner nor seed is forgotten
/// when the map is read anew.
#[derive(Default)]
struct Map {
    /// By the last slot of a range: its first, and its master.
    owners: BTreeMap<u16, (u16, Node)>,
    wires: HashMap<Node, Arc<Wire>>,
}

/// What is to be sent.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

/// Why a node has not run it.
enum Refusal {
    /// The slot is this node's.
    Moved(Node),
    /// The slot is being moved, and the key is at this node already.
    Ask(Node),
    /// Another node may have the slot by now.
    NotRun,
}

impl Cluster {
    pub(super) fn new(nodes: &Nodes, ca: Option<&[u8]>) -> Self {
        Self {
            seeds: nodes.iter().map(Node::of).collect(),
            like: nodes.first.clone(),
            ca: ca.map(<[u8]>::to_vec),
            map: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        }
    }

    /// Reads the map, and connects to every master.
    pub(super) async fn connect(&self) -> Result<(), Fault> {
        self.check().await?;
        self.learn(None).await?;
        let owners: Vec<_> = self.locked().owners.values().map(|(_, node)| node.clone()).collect();
        let wires = owners.iter().map(|node| self.wire(node)).collect::<Result<Vec<_>, _>>()?;
        try_join_all(wires.iter().map(|wire| wire.connect())).await.map(drop)
    }

    /// Sees that every slot has a master. One node that says so is enough: those that are cut off
    /// from the others say otherwise.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        self.ask(None, cmd("CLUSTER").arg("INFO"), CONNECT, |_, answer| {
            let info: String =
                redis::from_redis_value(answer).map_err(|e| Fault::Sent(e.into()))?;
            let says = |name| info.lines().find_map(|line| line.strip_prefix(name));
            let state = says("cluster_state:").unwrap_or_default();
            let slots = says("cluster_slots_ok:").unwrap_or_default();
            if state == "ok" && slots == SLOTS.to_string() {
                return Ok(());
            }
            Err(Fault::NotYet(format!(
                "the cluster is not whole (cluster_state {state}, {slots} of {SLOTS} slots ok): \
                 see CLUSTER INFO and CLUSTER NODES"
            )))
        })
        .await
    }

    /// Sends it to the node that has its slot; what has no key, to all, and whoever answers
    /// first will do.
    pub(super) async fn send(&self, work: Work<'_>) -> Result<Value, Fault> {
        let Some(key) = work.key() else {
            return match work {
                Work::Command(command) => {
                    self.ask(None, command, CONNECT, |_, answer| Ok(answer)).await
                }
                // There is nothing in it.
                Work::Pipeline(_) => Ok(Value::Nil),
            };
        };
        let slot = slot_of(key);
        let (mut node, mut asking) = (self.owner(slot).await?, false);
        let mut sent_on = 0;
        loop {
            let fault = match work.send(&*self.wire(&node)?, asking).await {
                Ok(answer) => return Ok(answer),
                Err(fault) if sent_on == REDIRECTS => return Err(fault),
                Err(fault) => fault,
            };
            sent_on += 1;
            (node, asking) = match Refusal::of(&fault, &node) {
                Some(Refusal::Moved(named)) => {
                    // A failure to learn shows at the node that was named, if it matters.
                    let _ = self.learn(None).await;
                    (named, false)
                }
                Some(Refusal::Ask(named)) => (named, true),
                Some(Refusal::NotRun) => {
                    let _ = self.learn(Some(&node)).await;
                    let owner = self.owner(slot).await?;
                    if owner == node {
                        return Err(fault);
                    }
                    (owner, false)
                }
                None => return Err(fault),
            };
        }
    }

    /// The master that has this slot.
    async fn owner(&self, slot: u16) -> Result<Node, Fault> {
        if let Some(owner) = self.locked().owner(slot) {
            return Ok(owner);
        }
        self.learn(None).await?;
        self.locked().owner(slot).ok_or_else(|| {
            Fault::NotYet(format!("no node of the cluster has slot {slot}: see CLUSTER NODES"))
        })
    }

    /// Reads the map anew, unless somebody just did. `but` is not asked: it failed, or is cut off
    /// from the others.
    async fn learn(&self, but: Option<&Node>) -> Result<(), Fault> {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        let read = |node: &Node, answer| {
            // A node that was taken out of the cluster knows of no slots.
            let told = ranges(answer, node).filter(|told| !told.is_empty());
            told.ok_or(Fault::Unreadable(Unreadable("map of slots")))
        };
        let told = self.ask(but, cmd("CLUSTER").arg("SLOTS"), LEARN, read).await;
        *asked = Some(Instant::now());
        let owners: BTreeMap<_, _> =
            told?.into_iter().map(|(first, last, node)| (last, (first, node))).collect();
        let mut map = self.locked();
        let owns = |node: &Node| owners.values().any(|(_, owner)| owner == node);
        map.wires.retain(|node, _| self.seeds.contains(node) || owns(node));
        map.owners = owners;
        Ok(())
    }

    /// Asks all nodes at once, and takes the first good answer. If none comes in time, all are
    /// connected to anew.
    async fn ask<T>(
        &self,
        but: Option<&Node>,
        command: &Cmd,
        within: Duration,
        read: impl Fn(&Node, Value) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut nodes =
            self.locked().wires.keys().cloned().chain(self.seeds.clone()).collect::<HashSet<_>>();
        if let Some(but) = but
            && nodes.len() > 1
        {
            nodes.remove(but);
        }
        let mut answers = Vec::with_capacity(nodes.len());
        for node in nodes {
            let wire = self.wire(&node)?;
            let read = &read;
            answers.push(Box::pin(async move { read(&node, wire.ask(command, within).await?) }));
        }
        select_ok(answers).await.map(|(answer, _)| answer)
    }

    fn wire(&self, node: &Node) -> Result<Arc<Wire>, Fault> {
        let mut map = self.locked();
        if let Some(wire) = map.wires.get(node) {
            return Ok(wire.clone());
        }
        let url = node.url(&self.like);
        let url =
            url.ok_or_else(|| Fault::Unfit(format!("a node has no usable name: {node:?}")))?;
        let server = Server::new(&url, self.ca.as_deref(), Part::Node)?;
        let wire = Arc::new(Wire::new(End::Server(server)));
        map.wires.insert(node.clone(), wire.clone());
        Ok(wire)
    }

    fn locked(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Node> {
        let (_, (first, node)) = self.owners.range(slot..).next()?;
        (*first <= slot).then(|| node.clone())
    }
}

impl Work<'_> {
    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Command(command) => key_of(command),
            Self::Pipeline(commands) => commands.cmd_iter().next().and_then(key_of),
        }
    }

    /// Sends it; if `asking`, to a node that is only getting the slot.
    async fn send(self, wire: &Wire, asking: bool) -> Result<Value, Fault> {
        match self {
            Self::Command(command) if asking => {
                let mut asked = pipe();
                asked.cmd("ASKING").ignore().add_command(command.clone());
                wire.pipeline::<(Value,)>(&asked).await.map(|(answer,)| answer)
            }
            Self::Command(command) => wire.query(command).await,
            Self::Pipeline(commands) if asking => {
                let mut asked = pipe();
                for command in commands.cmd_iter() {
                    asked.cmd("ASKING").ignore().add_command(command.clone());
                }
                wire.pipeline(&asked).await
            }
            Self::Pipeline(commands) => wire.pipeline(commands).await,
        }
    }
}

impl Refusal {
    /// Reads a failure at this node; `None` if it may have run there, or would fail elsewhere too.
    fn of(fault: &Fault, node: &Node) -> Option<Self> {
        let error = match fault {
            Fault::NotSent(_) | Fault::Unfit(_) | Fault::NotYet(_) => return Some(Self::NotRun),
            Fault::Unreadable(_) | Fault::InDoubt(_) => return None,
            Fault::Sent(error) => error.clone(),
        };
        // All of a pipeline is on one slot.
        let errors = error.into_server_errors()?;
        let (_, error) = errors.first()?;
        let named = || Node::read(error.details()?.split(' ').nth(1)?, node);
        match error.code() {
            "MOVED" => named().map(Self::Moved),
            "ASK" => named().map(Self::Ask),
            "CLUSTERDOWN" => Some(Self::NotRun),
            _ => None,
        }
    }
}
