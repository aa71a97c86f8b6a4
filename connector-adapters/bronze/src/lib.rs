#![doc = include_str!("../README.md")]

mod config;
mod disk;
mod fault;
mod files;
mod jsonl;
mod layout;
mod log;
mod open;
mod parquet;
mod pending;
mod progress;
mod records;
mod sink;
mod snapshot;
mod typed;
mod writer;

pub use config::{BronzeConfig, CommitPolicy, Format};
pub use disk::{DirEntry, Disk, DiskFile, RealDisk};
pub use records::Records;
pub use sink::Bronze;
