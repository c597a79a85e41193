//! The command line of `crowd load`, and the plan that it stands for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::{Admin, Client, NewSale, Options};
use sale::id::SaleId;
use sale::units::Units;
use url::Url;

use super::arrivals::Arrivals;
use super::identity::Identity;
use super::plan::{BadSetting, Behaviour, Door, Mix, Plan, Share};

/// The most buyers of one load.
const MOST_BUYERS: usize = 10_000_000;

/// How long a sale of our own stays open.
const OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What the command is given.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the server answers; given several times, buyers are dealt to all of them
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: Vec<Url>,
    /// Where tickets are read, if not at --server; as often as that
    #[arg(long, value_name = "URL")]
    push: Vec<Url>,
    /// Further certificates to trust, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Opens the admin API; @FILE reads it from a file, such as the `admin-key` of a data folder.
    /// With it a sale is created, the ledger is looked into, and all of it is judged in the end
    #[arg(long, value_name = "KEY")]
    admin_key: Option<Secret>,
    /// Who vouches for the buyers: `guests`, or the servers' own hs256:SECRET; @FILE reads it from
    /// a file
    #[arg(long, value_name = "KEY", default_value = "guests")]
    jwt: Secret,
    /// The folder for the report, the history and the books [default: target/crowd/load-SEED]
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// The server's setting `answer_within`: until then no ticket is to be rejected for its deadline
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = humantime::parse_duration)]
    pub(super) answer_within: Duration,
    /// Decides who does what; the same seed sends the same crowd again
    #[arg(long)]
    seed: Option<u64>,

    #[command(flatten, next_help_heading = "Sale")]
    sale: SaleArguments,
    #[command(flatten, next_help_heading = "Arrivals")]
    arrivals: ArrivalArguments,
    #[command(flatten, next_help_heading = "Buyers")]
    buyers: BuyerArguments,
}

#[derive(Debug, clap::Args)]
struct SaleArguments {
    /// A sale to go to; given several times, buyers are dealt to all of them [default: a new one]
    #[arg(long, value_name = "ID", value_parser = SaleId::new)]
    sale: Vec<SaleId>,
    /// Units of the new sale
    #[arg(long, value_name = "UNITS", default_value_t = 500, conflicts_with = "sale")]
    stock: u32,
    /// Units of the new sale that one buyer may have
    #[arg(long, value_name = "UNITS", default_value = "2", value_parser = units, conflicts_with = "sale")]
    limit: Units,
    /// When the new sale opens, from now
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration, conflicts_with = "sale")]
    opens_in: Duration,
}

#[derive(Debug, clap::Args)]
struct ArrivalArguments {
    /// When buyers come: evenly, faster and faster, or all at the opening
    #[arg(long = "arrivals", value_enum, default_value_t = Kind::Herd)]
    kind: Kind,
    /// How many, of a herd
    #[arg(long, value_name = "NUMBER", default_value_t = 5000)]
    buyers: usize,
    /// Until when the last of a herd has tapped
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    within: Duration,
    /// Buyers a second; of a ramp, at its end
    #[arg(long, value_name = "NUMBER", default_value_t = 200.0)]
    rate: f64,
    /// Buyers a second at the begin of a ramp
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    from: f64,
    /// How long they come, but for a herd
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    lasting: Duration,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    Constant,
    Ramp,
    Herd,
}

#[derive(Debug, clap::Args)]
struct BuyerArguments {
    /// On which ways they follow their tickets
    #[arg(long, value_name = "WAY=NUMBER,…", default_value_t = Mix::default())]
    mix: Mix,
    /// Units that one of them wants at most [default: the sale's limit]
    #[arg(long, value_name = "UNITS", value_parser = units)]
    units: Option<Units>,
    /// How long one of them waits for an answer, and again for his final result
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// The most of them at a time; more are not sent, and counted [default: what file descriptors
    /// allow]
    #[arg(long, value_name = "NUMBER")]
    most_open: Option<usize>,
    /// They claim once and wait, and do nothing else that is not asked for here
    #[arg(long)]
    plain: bool,
    /// Percent of them that load the page before they claim
    #[arg(long, value_name = "PERCENT")]
    page: Option<Share>,
    /// Percent that tap before the sale opens, and again when it does
    #[arg(long, value_name = "PERCENT")]
    early: Option<Share>,
    /// Percent that tap twice
    #[arg(long, value_name = "PERCENT")]
    double_tap: Option<Share>,
    /// Percent that claim from a second device too
    #[arg(long, value_name = "PERCENT")]
    second_device: Option<Share>,
    /// Percent that load the page again while they wait
    #[arg(long, value_name = "PERCENT")]
    reload: Option<Share>,
    /// Percent that ask for a ticket of somebody else
    #[arg(long, value_name = "PERCENT")]
    foreign: Option<Share>,
    /// Percent that read their final result again, on another way
    #[arg(long, value_name = "PERCENT")]
    again: Option<Share>,
    /// Percent of the winners for whom the ledger is looked into
    #[arg(long, value_name = "PERCENT")]
    look: Option<Share>,
}

/// A text that is not to be shown.
#[derive(Clone)]
struct Secret(String);

impl FromStr for Secret {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let Some(file) = text.strip_prefix('@') else { return Ok(Self(text.to_owned())) };
        let read = std::fs::read_to_string(file);
        let text = read.map_err(|error| BadSetting(format!("{file} cannot be read: {error}")))?;
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn units(text: &str) -> Result<Units, BadSetting> {
    let bad = || BadSetting("give a number of units from 1 to 64".to_owned());
    Units::new(text.parse().map_err(|_| bad())?).map_err(|_| bad())
}

fn most_units() -> Units {
    Units::new(Units::MOST.into()).expect("the most that there can be are units")
}

impl Arguments {
    /// The seed that is given, or one that is drawn.
    pub(super) fn seed(&self) -> u64 {
        // A short one is easier to type again.
        self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()))
    }

    /// The plan; creates the sale if none is named. `most_open` are as many as this process can
    /// have.
    pub(super) async fn plan(self, seed: u64, most_open: usize) -> anyhow::Result<Plan> {
        let identity: Identity = self.jwt.0.parse().context("--jwt")?;
        let arrivals = self.arrivals.arrivals()?;
        let doors = doors(&self.server, &self.push)?;
        let mut options = Options::new(doors[0].api.clone());
        options.ca_file.clone_from(&self.ca);
        let client = Client::new(options)?;
        let ledger = self.admin_key.map(|Secret(key)| Admin::of(client.clone(), key));
        let sales = self.sale.sales(&client, ledger.as_ref(), seed).await?;
        Ok(Plan {
            doors,
            ca: self.ca,
            sales,
            arrivals,
            behaviour: self.buyers.behaviour(),
            mix: self.buyers.mix,
            most_units: self.buyers.units.unwrap_or(most_units()),
            identity,
            patience: self.buyers.patience,
            most_open: self.buyers.most_open.unwrap_or(most_open).max(1),
            seed,
            ledger,
        })
    }
}

fn doors(servers: &[Url], pushes: &[Url]) -> anyhow::Result<Vec<Door>> {
    ensure!(
        pushes.is_empty() || pushes.len() == servers.len(),
        "give --push as often as --server, or not at all"
    );
    let pushes = if pushes.is_empty() { servers } else { pushes };
    let pairs = servers.iter().cloned().zip(pushes.iter().cloned());
    Ok(pairs.map(|(api, push)| Door { api, push }).collect())
}

impl SaleArguments {
    async fn sales(
        self,
        client: &Client,
        admin: Option<&Admin>,
        seed: u64,
    ) -> anyhow::Result<Vec<SaleId>> {
        if !self.sale.is_empty() {
            return Ok(self.sale);
        }
        let admin = admin.context("name a --sale, or give the --admin-key to have one created")?;
        let now = client.clock().await.context("the server's clock cannot be read")?.now();
        let opens_at = now.plus(self.opens_in);
        // A seed that comes again sends the same crowd to a sale of its own.
        let id = SaleId::new(&format!("crowd-{seed}-{}", now.millis()))?;
        let sale = NewSale {
            id: id.clone(),
            name: format!("A sale for the crowd of seed {seed}"),
            stock: self.stock,
            limit: self.limit,
            opens_at,
            closes_at: opens_at.plus(OPEN_FOR),
        };
        admin.create(&sale).await.context("the sale cannot be created")?;
        Ok(vec![id])
    }
}

impl ArrivalArguments {
    fn arrivals(&self) -> anyhow::Result<Arrivals> {
        let Self { buyers, within, rate, from, lasting, .. } = *self;
        ensure!(rate.is_finite() && rate > 0.0, "--rate must be above zero");
        ensure!(from.is_finite() && from >= 0.0, "--from must not be below zero");
        ensure!(!lasting.is_zero(), "--for must be above zero");
        let arrivals = match self.kind {
            Kind::Constant => Arrivals::Constant { rate, lasting },
            Kind::Ramp => Arrivals::Ramp { from, to: rate, lasting },
            Kind::Herd => Arrivals::Herd { buyers, within },
        };
        let buyers = arrivals.buyers();
        ensure!(
            (1..=MOST_BUYERS).contains(&buyers),
            "{buyers} buyers: 1 to {MOST_BUYERS} can be sent"
        );
        Ok(arrivals)
    }
}

impl BuyerArguments {
    fn behaviour(&self) -> Behaviour {
        let usual = if self.plain { Behaviour::PLAIN } else { Behaviour::default() };
        Behaviour {
            page: self.page.unwrap_or(usual.page),
            early: self.early.unwrap_or(usual.early),
            double_tap: self.double_tap.unwrap_or(usual.double_tap),
            second_device: self.second_device.unwrap_or(usual.second_device),
            reload: self.reload.unwrap_or(usual.reload),
            foreign: self.foreign.unwrap_or(usual.foreign),
            again: self.again.unwrap_or(usual.again),
            look: self.look.unwrap_or(usual.look),
        }
    }
}
