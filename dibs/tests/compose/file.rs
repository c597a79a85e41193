//! compose.yaml and Dockerfile, as Docker reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// The services, by name.
#[derive(Debug, Deserialize)]
pub(crate) struct Compose {
    pub(crate) services: BTreeMap<String, Service>,
}

/// What a container is made of.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) image: String,
    pub(crate) build: Option<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    /// Without a value, as the environment of whoever calls Docker has it.
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) volumes: Vec<String>,
    pub(crate) ports: Vec<String>,
    pub(crate) networks: Vec<String>,
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    pub(crate) restart: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) security_opt: Vec<String>,
    pub(crate) mem_limit: Option<String>,
    pub(crate) healthcheck: Healthcheck,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) condition: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Healthcheck {
    pub(crate) test: Vec<String>,
    pub(crate) disable: bool,
}

/// A file of the repository's top folder.
pub(crate) fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", name].iter().collect()
}

/// The text of such a file.
pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

impl Compose {
    /// The file, where nothing that it asks for is set.
    pub(crate) fn read() -> Self {
        serde_saphyr::from_str(&interpolated(&text("compose.yaml"))).unwrap()
    }

    /// The services that run our image.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (&str, &Service)> {
        let ours = self.services.iter().filter(|(_, service)| service.image == "dibs");
        ours.map(|(name, service)| (name.as_str(), service))
    }
}

/// `${NAME:-otherwise}` is what is otherwise, and `$$` is `$`.
fn interpolated(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else {
            let (variable, after) = after.strip_prefix('{').unwrap().split_once('}').unwrap();
            let (_, otherwise) = variable.split_once(":-").unwrap();
            out.push_str(otherwise);
            after
        };
    }
    out + rest
}

/// The variables that the image sets.
pub(crate) fn image_environment() -> Vec<(String, String)> {
    let dockerfile = text("Dockerfile");
    let lines = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines.flat_map(str::split_whitespace).map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
