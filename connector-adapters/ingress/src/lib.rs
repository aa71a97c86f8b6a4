#![doc = include_str!("../README.md")]

pub mod journal;
pub mod listener;
pub mod scheme;

pub use journal::{Journal, JournalConfig};
pub use listener::{ListenerConfig, Listening};
pub use scheme::Scheme;
