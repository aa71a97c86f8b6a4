//! The method `email/imap` against a real Dovecot and against hostile servers.

mod conformance;
mod modes;
mod support;
