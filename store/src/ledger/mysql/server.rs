//! Which server it is, and whether Dibs works with it.

/// The two kinds of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    MySql,
    MariaDb,
}

/// CHECK constraints are kept from this version on.
const MYSQL_SINCE: [u16; 3] = [8, 0, 16];

const MARIADB_SINCE: [u16; 3] = [10, 11, 0];

impl Flavor {
    /// Reads what `version()` says; the error says what is needed.
    pub(super) fn of(version: &str) -> Result<Self, String> {
        let (flavor, since) = if version.contains("MariaDB") {
            (Self::MariaDb, MARIADB_SINCE)
        } else {
            (Self::MySql, MYSQL_SINCE)
        };
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let numbers = [(); 3].map(|()| numbers.next().and_then(Result::ok).unwrap_or(0));
        if numbers < since {
            return Err(format!(
                "is version {version}: Dibs needs MySQL 8.0.16 or later, or MariaDB 10.11 or later"
            ));
        }
        Ok(flavor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_keep_check_constraints_are_taken_and_older_ones_are_not() {
        for (version, flavor) in [
            ("8.0.16", Flavor::MySql),
            ("8.4.3-log", Flavor::MySql),
            ("9.7.4", Flavor::MySql),
            ("10.11.0-MariaDB", Flavor::MariaDb),
            ("10.11.19-MariaDB-0+deb12u1", Flavor::MariaDb),
            ("11.4.2-MariaDB-log", Flavor::MariaDb),
        ] {
            assert_eq!(Flavor::of(version), Ok(flavor));
        }
        for version in ["5.7.44-log", "8.0.15", "10.6.18-MariaDB", "", "what is this"] {
            let why = Flavor::of(version).unwrap_err();
            assert!(why.contains("needs MySQL 8.0.16"), "{why}");
        }
    }
}
