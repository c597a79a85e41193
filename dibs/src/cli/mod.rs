//! The command line.

pub mod admin;
pub mod health;
pub mod parked;
pub mod report;
pub mod sales;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use parked::ParkedCommand;
use sales::SaleCommand;

use crate::config::{Inputs, setting};
use crate::roles::Role;

/// What was asked for on the command line.
pub struct Invocation {
    /// The layers that the configuration is read from.
    pub inputs: Inputs,
    /// What to do; `None` is to serve, with every role.
    pub command: Option<Command>,
}

/// Everything that `dibs` can do besides serving with every role.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Answer claims, sales, the admin API and the pages only; not with local engines
    Api,
    /// Decide orders only; not with local engines
    Worker,
    /// Answer reads of tickets and push their results only; not with local engines
    Push,
    /// Bring ledger, log and gate up to date, and end; with servers, before the roles start
    Migrate {
        /// Accept the secret though it has sealed no token of this install: those that others
        /// have sealed open nothing any more.
        #[arg(long)]
        new_secret: bool,
    },
    /// Ask the server that this configuration starts whether it lives; ends with 1 if not
    Health {
        /// Ask whether it does its work.
        #[arg(long)]
        ready: bool,
    },
    /// Print the settings that hold and where each comes from, without secrets
    Config {
        /// What about them.
        #[command(subcommand)]
        action: Option<ConfigCommand>,
    },
    /// Create, list, change and close sales on a running server
    #[command(arg_required_else_help = true)]
    Sale {
        /// How to reach the server.
        #[command(flatten)]
        server: ServerArgs,
        /// What to do.
        #[command(subcommand)]
        action: SaleCommand,
    },
    /// Show gate beside ledger, round by round; ends with 1 if a round disagrees
    Report {
        /// How to reach the server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List orders that could not be processed, and decide what becomes of them
    #[command(arg_required_else_help = true)]
    Parked {
        /// How to reach the server.
        #[command(flatten)]
        server: ServerArgs,
        /// What to do.
        #[command(subcommand)]
        action: ParkedCommand,
    },
}

/// What can be done about the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with the settings; ends with 2 if anything is
    Check {
        /// The role that is to start by them [default: all of them, in one process]
        role: Option<Role>,
    },
}

/// How a command reaches the running server, and how it prints.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Where the server answers [default: http:// and the setting listen]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Print the server's JSON; a list of tickets as one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Parser)]
#[command(
    name = "dibs",
    version,
    about = "Answers \"did I get it?\" for a crowd: claim, pending ticket, final result.",
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    subcommand_help_heading = "Commands"
)]
struct Cli {
    /// The configuration file; it must exist if named
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const LONG_ABOUT: &str = "\
Answers \"did I get it?\" for a crowd: claim, pending ticket, final result.

Without a command it serves: every role in one process, on one data folder. The first start \
creates a demo sale and prints its page's address. On Redis, Pulsar and MySQL, `dibs migrate` comes \
first; then the roles run as any number of processes: `dibs api`, `dibs worker`, `dibs push`.";

const AFTER_HELP: &str = "\
Settings:
  Each setting can be a flag (--ops-listen), a variable (DIBS_OPS_LISTEN) or a key of dibs.toml
  (ops_listen); a flag beats the environment, which beats the file. Durations have a unit: 500ms,
  30s, 5m. `dibs config` prints what holds; `dibs --help` explains all of them. Secrets are better
  given in the environment or the file: other users of the machine can see flags.

Examples:
  dibs
  dibs --listen 0.0.0.0:8080 --jwt-keys jwks.json
  dibs config check api
  dibs sale create cups --name 'Espresso cups' --stock 100 --opens-at +10m --closes-at +2h
  dibs sale tickets cups --status confirmed --csv > winners.csv
  dibs report";

/// The settings that a command speaking to a server needs.
const FOR_SERVER: [&str; 3] = ["listen", "data", "admin_key"];

/// The concerns whose settings `-h` leaves to `--help`.
const DETAILS: [&str; 4] = ["Engines", "Claims", "Worker", "Watching"];

/// Reads a command line. The error is also how help and version come out.
pub fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let Cli { config, command } = Cli::from_arg_matches(&matches)?;
    Ok(Invocation { inputs: Inputs::gather(config.as_deref(), flags(&matches)), command })
}

fn command() -> clap::Command {
    let every = || setting::all().map(argument);
    let mut command = Cli::command().args(every());
    for role in ["api", "worker", "push", "migrate", "health"] {
        command = command.mut_subcommand(role, |role| role.args(every().map(|arg| arg.hide(true))));
    }
    let global = |arg: Arg| arg.global(true);
    command =
        command.mut_subcommand("config", |it| it.args(every().map(|arg| global(arg).hide(true))));
    for name in ["sale", "report", "parked"] {
        let needed = || FOR_SERVER.iter().filter_map(|key| setting::find(key));
        command = command.mut_subcommand(name, |it| {
            it.args(needed().map(|setting| global(argument(setting)).help_heading("Server")))
        });
    }
    command
}

fn argument(setting: &'static setting::Setting) -> Arg {
    let default = match setting.default {
        setting::Default::Plain("")
        | setting::Default::Address("")
        | setting::Default::Secret(_) => String::new(),
        setting::Default::Plain(text) | setting::Default::Address(text) => {
            format!(" [default: {text}]")
        }
    };
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.placeholder)
        .help(format!("{}{default}", setting.doc.trim()))
        .help_heading(setting.group)
        .hide_short_help(DETAILS.contains(&setting.group))
}

/// The settings that were given as flags, at whichever level of the command.
fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let here = setting::all().filter_map(|setting| {
        let given = matches.try_get_one::<String>(setting.key).ok().flatten()?;
        Some((setting.key, given.clone()))
    });
    let below = matches.subcommand().map(|(_, matches)| flags(matches)).unwrap_or_default();
    here.chain(below).collect()
}

#[cfg(test)]
mod tests;
