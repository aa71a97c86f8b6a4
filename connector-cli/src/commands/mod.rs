//! The commands, one file each.

mod act;
mod check;
mod discover;
mod list;
mod login;
mod new;
mod records;
mod run;
mod runs;
pub(crate) mod secrets;
pub(crate) mod state;

pub(crate) use act::act;
pub(crate) use check::check;
pub(crate) use discover::discover;
pub(crate) use list::{list, spec};
pub(crate) use login::login;
pub(crate) use new::new;
pub(crate) use records::records;
pub(crate) use run::run;
pub(crate) use runs::runs;
