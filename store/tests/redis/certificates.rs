//! Certificates of one test, for servers on 127.0.0.1.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An authority, and a server's certificate that it signed.
pub(crate) struct Certificates(tempfile::TempDir);

impl Certificates {
    pub(crate) fn make() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let extensions = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
        std::fs::write(made.0.path().join("server.ext"), extensions).unwrap();
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem");
        made.openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
        );
        made.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile server.ext -out server.pem",
        );
        made
    }

    /// What trusts these and no others.
    pub(crate) fn authority(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The settings of a server that speaks TLS to everybody.
    pub(crate) fn settings(&self) -> Vec<String> {
        let file = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let files = [
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
        ];
        let others = [("--tls-auth-clients", "no"), ("--tls-replication", "yes")];
        let others = others.map(|(name, value)| (name, value.to_owned()));
        let all = files.into_iter().chain(others);
        all.flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn openssl(&self, words: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(words.split_whitespace()).current_dir(self.0.path());
        let ended = openssl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(ended.expect("this test needs openssl").success(), "openssl {words}");
    }
}
