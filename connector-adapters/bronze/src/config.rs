//! The `bronze:` section of a template.

use std::path::PathBuf;

use connector_sdk::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where records go, and in which form.
///
/// ```
/// use connector_bronze::{BronzeConfig, Format};
/// let config: BronzeConfig = serde_json::from_str(r#"{
///     "path": "./bronze", "format": "parquet", "commit": { "bytes": "128MiB" }
/// }"#).unwrap();
/// assert_eq!(config.format, Format::Parquet);
/// assert_eq!(config.commit.interval.to_string(), "10s");
/// assert!(serde_json::from_str::<BronzeConfig>(r#"{"path": "./bronze", "fromat": "jsonl"}"#).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BronzeConfig {
    /// The folder below which everything is kept. Made when it is not there. A relative path counts from
    /// the template's folder.
    pub path: PathBuf,
    /// The form of the files. Default: jsonl.
    #[serde(default)]
    pub format: Format,
    /// Parquet only: adds the column `data`, a struct with one typed field for each property of the
    /// stream's schema. `record` stays the exact text. Default: false.
    #[serde(default)]
    pub typed: bool,
    /// When to publish what was read.
    #[serde(default)]
    pub commit: CommitPolicy,
}

impl BronzeConfig {
    /// A sink below that folder, with the defaults.
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { path: path.into(), format, typed: false, commit: CommitPolicy::default() }
    }

    /// Adds the typed column `data` (Parquet only).
    #[must_use]
    pub fn with_typed(mut self, typed: bool) -> Self {
        self.typed = typed;
        self
    }
}

/// The form of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One envelope per line.
    #[default]
    Jsonl,
    /// The same, in columns, compressed with zstd.
    Parquet,
}

impl Format {
    /// What the files' names end in.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// When a host commits. The sink itself commits when it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CommitPolicy {
    /// Commit when so many bytes wait. Default: 64MiB.
    pub bytes: ByteSize,
    /// Commit when the oldest record has waited so long. Default: 10s.
    pub interval: Period,
}

impl Default for CommitPolicy {
    fn default() -> Self {
        Self { bytes: ByteSize::mib(64), interval: Period::secs(10) }
    }
}
