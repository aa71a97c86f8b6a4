//! The method `email/smtp` against a real Postfix before a real Dovecot, and against hostile servers.

mod acting;
mod defects;
mod host;
mod hostile;
mod mail;
mod recipients;
mod sending;
mod signed;
mod signing_in;
mod smuggling;
