//! What went wrong, told apart: what passes by itself, and what this very call meets again.

use std::io;

use sqlx::mysql::MySqlDatabaseError;

use super::address::Address;
use crate::ledger::LedgerError;
use crate::open::OpenError;

/// An error of this engine.
#[derive(Debug)]
pub(in crate::ledger) enum Fault {
    /// Another transaction was in the way: the same one may pass at once.
    Contended(String),
    /// The server cannot be reached or cannot write.
    Unavailable(String),
    /// What the call asks for cannot be written.
    Refused(String),
}

impl From<Fault> for LedgerError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Contended(why) | Fault::Unavailable(why) => Self::Unavailable(why),
            Fault::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable(why) => Self::Unavailable(why),
            LedgerError::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<sqlx::Error> for Fault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "more variants may come with sqlx")]
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(said) => match said.try_downcast_ref::<MySqlDatabaseError>() {
                Some(said) => Self::of_server(said),
                None => Self::Refused(error.to_string()),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl Fault {
    fn of_server(said: &MySqlDatabaseError) -> Self {
        let text = match said.number() {
            // It quotes the row, and with it a buyer.
            DUPLICATE => "1062: a row of the same key stands already".to_owned(),
            _ => said.to_string(),
        };
        match Kind::of(said.number(), said.code().unwrap_or("")) {
            Kind::Contended => Self::Contended(text),
            Kind::Server => Self::Unavailable(text),
            Kind::Data => Self::Refused(text),
        }
    }
}

const DUPLICATE: u16 = 1062;

/// Also what a user is told of a database that he must not know of.
pub(super) const NO_RIGHTS_ON_DATABASE: u16 = 1044;

const NO_DATABASE: u16 = 1049;

/// A password, or a way to prove who one is, that the server does not take.
const NO_ENTRY: [u16; 2] = [1045, 1698];

/// The number of an error of the server.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let said = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(said.number())
}

/// Why a server cannot be used, in one line. What the server says of a login names the user, so
/// it is not repeated.
#[expect(clippy::wildcard_enum_match_arm, reason = "more variants may come with sqlx")]
pub(super) fn of_opening(address: &Address, error: &sqlx::Error) -> OpenError {
    let database = address.database();
    match number(error) {
        Some(number) if NO_ENTRY.contains(&number) => {
            return OpenError::Refused(format!("{address}: wrong user or password"));
        }
        Some(NO_DATABASE) => {
            return OpenError::Refused(format!(
                "{address}: there is no database {database}: run `dibs migrate`"
            ));
        }
        Some(NO_RIGHTS_ON_DATABASE) => {
            return OpenError::Refused(format!(
                "{address}: the user may not use the database {database}, if there is one: run \
                 `dibs migrate`, or GRANT ALL ON `{database}`.* to him"
            ));
        }
        Some(_) | None => {}
    }
    let line = format!("{address}: {error}");
    match error {
        sqlx::Error::Database(said) => {
            let said = said.try_downcast_ref::<MySqlDatabaseError>();
            let kind = said.map(|said| Kind::of(said.number(), said.code().unwrap_or("")));
            match kind {
                Some(Kind::Contended | Kind::Server) => OpenError::Unreachable(line),
                Some(Kind::Data) | None => OpenError::Refused(line),
            }
        }
        // What rustls says of a certificate comes as invalid data.
        sqlx::Error::Io(said) if said.kind() == io::ErrorKind::InvalidData => {
            OpenError::Refused(encryption(address, &line))
        }
        sqlx::Error::Tls(_) => OpenError::Refused(encryption(address, &line)),
        sqlx::Error::Io(_) => OpenError::Unreachable(line),
        _ => OpenError::Refused(line),
    }
}

fn encryption(address: &Address, line: &str) -> String {
    if address.verifies() {
        format!(
            "{line}: trust the certificate's issuer in `engines_ca`, and see that it names the host"
        )
    } else {
        line.to_owned()
    }
}

/// What an error of the server speaks of.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Contended,
    Server,
    Data,
}

impl Kind {
    /// By number and SQLSTATE; those of MySQL and MariaDB differ above 1,900.
    fn of(number: u16, state: &str) -> Self {
        match number {
            // Changed since last read, lock wait timeout, deadlock, no lock without waiting.
            1020 | 1205 | 1213 | 3572
            // The statement that was prepared is gone, or its table is another one.
            | 1243 | 1412 | 1615 => Self::Contended,
            // A packet, or a transaction for the binary log, that is too large: a part of the
            // batch may fit.
            1153 | 1197 => Self::Data,
            // Its files: a disk without room for the binary log's cache, and the like.
            ..1000
            // Disk full, engine error, out of memory, too many connections, out of resources.
            | 1021 | 1026 | 1030 | 1037 | 1038 | 1040 | 1041 | 1114 | 1135
            // Going down, commit failed, the binary log cannot be written, connection limits.
            | 1053 | 1079 | 1180 | 1181 | 1184 | 1203 | 1206 | 1226 | 1598 | 1637 | 1665
            // Read-only: a table, a global read lock, an option, the transaction, the storage.
            | 1036 | 1223 | 1290 | 1792 | 1836 | 1874 | 1881
            // The statement or the connection was killed or took too long.
            | 1317 | 1927 | 1969 | 3024 | 3169 | 4031
            // Offline, or group replication or a managed server takes no writes at present.
            | 3032 | 3100 | 3101 | 3168 | 3170 => Self::Server,
            _ => match state.get(..2) {
                // Connection, login, and rights or tables that are not there.
                Some("08" | "28" | "42") => Self::Server,
                Some("40") => Self::Contended,
                Some(_) | None => Self::Data,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_of_the_server_passes_and_what_speaks_of_the_data_does_not() {
        for (number, state, kind) in [
            (1213, "40001", Kind::Contended),
            (1205, "HY000", Kind::Contended),
            (1040, "08004", Kind::Server),
            (1045, "28000", Kind::Server),
            (1053, "08S01", Kind::Server),
            (1142, "42000", Kind::Server),
            (1146, "42S02", Kind::Server),
            (1290, "HY000", Kind::Server),
            (1114, "HY000", Kind::Server),
            (1317, "70100", Kind::Server),
            (3, "HY000", Kind::Server),
            (1615, "HY000", Kind::Contended),
            (1874, "HY000", Kind::Server),
            (3032, "HY000", Kind::Server),
            (1153, "08S01", Kind::Data),
            (1062, "23000", Kind::Data),
            (1264, "22003", Kind::Data),
            (1406, "22001", Kind::Data),
            (1452, "23000", Kind::Data),
            (1644, "45000", Kind::Data),
            (1690, "22003", Kind::Data),
            (3819, "HY000", Kind::Data),
            (4025, "23000", Kind::Data),
        ] {
            assert_eq!(Kind::of(number, state), kind, "{number}");
        }
    }
}
