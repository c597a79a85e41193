//! The roles of a process, and what each needs of the configuration.

use crate::config::Config;
use crate::config::engines::Mix;

/// What a process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers claims, sales, the admin API and the pages.
    Api,
    /// Decides orders.
    Worker,
    /// Answers reads of tickets and pushes their results.
    Push,
}

/// The roles of one process: never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// All of them.
    Every,
    /// One alone.
    Only(Role),
}

impl Role {
    /// Its name, as the command that starts it has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Push => "push",
        }
    }
}

impl Roles {
    /// Whether this is one of them.
    pub fn has(self, role: Role) -> bool {
        match self {
            Self::Every => true,
            Self::Only(only) => only == role,
        }
    }

    /// Whether buyers are answered.
    pub fn answer_buyers(self) -> bool {
        self.has(Role::Api) || self.has(Role::Push)
    }

    /// The command that starts them.
    fn command(self) -> String {
        match self {
            Self::Every => "dibs".to_owned(),
            Self::Only(role) => format!("dibs {}", role.name()),
        }
    }

    /// What metrics call them.
    pub fn label(self) -> &'static str {
        match self {
            Self::Every => "all",
            Self::Only(role) => role.name(),
        }
    }

    /// Why these roles must not start on this configuration, in a sentence that says what to
    /// do.
    pub fn refusal(self, config: &Config) -> Option<String> {
        let command = self.command();
        let keys = &config.keys;
        match (&config.engines.mix, self) {
            (Mix::Local { .. }, Self::Only(_)) => Some(format!(
                "`{command}` alone cannot work with gate=local and log=local: these live in one \
                 process and no other one can reach them. Run `dibs`, which has every role in \
                 one process, or set gate, log and ledger to servers"
            )),
            (mix, _) if !mix.is_all_local() && keys.secret.is_none() => Some(format!(
                "`{command}` needs a secret, the same for every process on these engines: set \
                 DIBS_SECRET to text of at least 32 bytes, such as `openssl rand -base64 32` makes"
            )),
            (Mix::Remote(_), _) if self.has(Role::Api) && keys.admin_key.is_none() => {
                Some(format!(
                    "`{command}` needs a key for its admin API, as there is no data folder to \
                     keep one in: set DIBS_ADMIN_KEY to text of at least 16 characters"
                ))
            }
            (Mix::Local { .. } | Mix::Remote(_), _) => None,
        }
    }
}
