//! The tables: brought up to date by [`migrate`] alone, and checked at each start.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate as _, MigrateError, Migrator};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, MySqlConnection};
use tokio::time::timeout;

use super::address::Address;
use super::connection::{self, CONNECT};
use super::fault;
use super::server::Flavor;
use crate::open::OpenError;

/// How long a migration may take, waiting for the one of another node included.
const MIGRATION: Duration = Duration::from_secs(600);

/// Seconds that one node waits for another that migrates.
const LOCK_SECONDS: u32 = 300;

/// The steps that make the tables.
fn steps() -> Migrator {
    let mut steps = sqlx::migrate!("../migrations/mysql");
    // The lock of sqlx waits with a negative timeout, which MariaDB refuses, and sqlx does not
    // look at the answer.
    steps.set_locking(false);
    steps
}

/// Brings the tables up to date, under a lock, so that any number may do it at once. Makes the
/// database if there is none and the user may.
pub async fn migrate(address: &Address, ca: Option<&Path>) -> Result<(), OpenError> {
    let options = connection::options_of_server(address, ca);
    let migrating = async {
        let (mut connection, flavor) = connect(address, &options).await?;
        let failed = |error| fault::of_opening(address, &error);
        connection::prepare(&mut connection, flavor, MIGRATION).await.map_err(failed)?;
        // The name of a lock is as long as that of a database may be. Closing gives it back.
        let locked: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
            .bind(address.database())
            .bind(LOCK_SECONDS)
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        if locked != Some(1) {
            return Err(OpenError::Unreachable(format!(
                "{address}: another `dibs migrate` has not ended within {LOCK_SECONDS} s"
            )));
        }
        enter(&mut connection, address).await?;
        run(&mut connection, address).await?;
        connection.close().await.map_err(failed)
    };
    timeout(MIGRATION, migrating).await.unwrap_or_else(|_| Err(late(address, MIGRATION)))
}

/// Connects, and learns what server it is.
pub(super) async fn connect(
    address: &Address,
    options: &MySqlConnectOptions,
) -> Result<(MySqlConnection, Flavor), OpenError> {
    let connecting = async {
        let mut connection = options.connect().await?;
        let version: String =
            sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
        Ok((connection, version))
    };
    let (connection, version) = timeout(CONNECT, connecting)
        .await
        .map_err(|_| late(address, CONNECT))?
        .map_err(|error| fault::of_opening(address, &error))?;
    let flavor = Flavor::of(&version)
        .map_err(|refused| OpenError::Refused(format!("{address} {refused}")))?;
    Ok((connection, flavor))
}

fn late(address: &Address, within: Duration) -> OpenError {
    OpenError::Unreachable(format!("{address} did not answer within {} s", within.as_secs()))
}

/// Goes into the database.
async fn enter(connection: &mut MySqlConnection, address: &Address) -> Result<(), OpenError> {
    let database = address.database();
    let failed = |error| fault::of_opening(address, &error);
    let there: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?",
    )
    .bind(database)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    // The address takes no name that would end the quotes.
    if there == 0 {
        let create = format!(
            "CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 \
             COLLATE utf8mb4_unicode_ci"
        );
        connection.execute(&*create).await.map_err(|error| {
            if fault::number(&error) == Some(fault::NO_RIGHTS_ON_DATABASE) {
                OpenError::Refused(format!(
                    "{address}: there is no database {database} that the user may use, and he may \
                     not create it: run CREATE DATABASE `{database}` and GRANT ALL ON \
                     `{database}`.* to him"
                ))
            } else {
                failed(error)
            }
        })?;
    }
    connection.execute(&*format!("USE `{database}`")).await.map_err(failed)?;
    Ok(())
}

async fn run(connection: &mut MySqlConnection, address: &Address) -> Result<(), OpenError> {
    let failed = |error: MigrateError| {
        OpenError::Refused(format!("{address}: the tables cannot be set up: {error}"))
    };
    let steps = steps();
    connection.ensure_migrations_table().await.map_err(failed)?;
    // DDL commits by itself, so a step may have been cut in the middle. Each can run again, and
    // nobody else is at it.
    for step in steps.iter() {
        sqlx::query(
            "DELETE FROM _sqlx_migrations WHERE version = ? AND checksum = ? AND NOT success",
        )
        .bind(step.version)
        .bind(&*step.checksum)
        .execute(&mut *connection)
        .await
        .map_err(|error| fault::of_opening(address, &error))?;
    }
    let applied = connection.list_applied_migrations().await.map_err(failed)?;
    known(&steps, &applied, address)?;
    steps.run_direct(connection).await.map_err(failed)
}

/// Refuses tables that are not those of this version.
pub(super) async fn check(
    connection: &mut MySqlConnection,
    address: &Address,
) -> Result<(), OpenError> {
    let there: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| fault::of_opening(address, &error))?;
    let migrate = "run `dibs migrate`";
    if there == 0 {
        return Err(OpenError::Refused(format!("{address} has no tables of Dibs: {migrate}")));
    }
    let failed = |error: MigrateError| {
        OpenError::Refused(format!("{address}: the state of the tables is not readable: {error}"))
    };
    if let Some(step) = connection.dirty_version().await.map_err(failed)? {
        let why = format!("step {step} of the tables in {address} was left half done: {migrate}");
        return Err(OpenError::Refused(why));
    }
    let applied = connection.list_applied_migrations().await.map_err(failed)?;
    let steps = steps();
    known(&steps, &applied, address)?;
    match steps.iter().find(|step| applied.iter().all(|done| done.version != step.version)) {
        None => Ok(()),
        Some(step) => Err(OpenError::Refused(format!(
            "the tables in {address} are of an older version of Dibs (step {} is missing): {migrate}",
            step.version
        ))),
    }
}

/// Refuses tables made by steps that this version does not have.
fn known(
    steps: &Migrator,
    applied: &[AppliedMigration],
    address: &Address,
) -> Result<(), OpenError> {
    for done in applied {
        let number = done.version;
        let why = match steps.iter().find(|step| step.version == number) {
            Some(step) if step.checksum == done.checksum => continue,
            Some(_) => format!(
                "step {number} of the tables in {address} is not the one that this version has: \
                 start the version that made it, or a released one"
            ),
            None => format!(
                "the tables in {address} are of a newer version of Dibs (step {number} is not \
                 known here): start that version or a later one"
            ),
        };
        return Err(OpenError::Refused(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_those_of_the_golden_file_which_only_grows() {
        let golden = include_str!("../../../golden/migrations-mysql.txt");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let steps: Vec<_> = steps()
            .iter()
            .map(|step| format!("{} {}", step.version, hex(&step.checksum)))
            .collect();
        assert_eq!(golden.lines().collect::<Vec<_>>(), steps, "a released step never changes");
    }
}
