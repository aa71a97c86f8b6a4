//! What a host service embeds: the run engine, the registries, templates and preflight.
//!
//! A host registers the connectors it wants by hand ([`Connectors`]), opens a [`registry`], and runs
//! connections ([`run::run`]). It knows no adapter.

pub mod action;
mod background;
pub mod connectors;
#[cfg(feature = "keyring")]
pub mod keyring;
pub mod login;
pub mod preflight;
pub mod receipt;
pub mod registry;
pub mod report;
pub mod run;
pub mod seal;
pub mod template;

pub use background::settled;
pub use connectors::Connectors;
pub use registry::Registry;
pub use report::RunReport;
