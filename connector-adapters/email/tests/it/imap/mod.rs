//! The method `email/imap` against a real Dovecot and against hostile servers.

mod after;
mod conformance;
mod hostile;
mod mailboxes;
mod modes;
mod signing_in;
mod silence;
mod support;
