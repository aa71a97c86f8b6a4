//! Mail servers: Dovecot and Postfix as they are installed, and a scripted one that does what no real one will.
//!
//! The real ones are started on loopback in a folder of their own, which goes with them: when the value is dropped, and
//! also when its process is killed. They need the packages `dovecot-imapd`, `dovecot-lmtpd` and `postfix`; where one is
//! missing, starting it answers none and says so, and with `CI=true` it fails. Dovecot runs as anybody, Postfix as root.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use connector_testkit::mail::{Dovecot, PASSWORD};
//! let Some(dovecot) = Dovecot::builder().start().await? else { return Ok(()) };
//! // Every user is there, with this password; one for each test keeps tests apart.
//! let mut anna = dovecot.session("anna@example.test").await?;
//! let uid = anna.append("INBOX", b"Subject: hello\r\n\r\nworld\r\n").await?;
//! assert_eq!((uid, PASSWORD), (1, "pass"));
//! # Ok(()) }
//! ```

mod account;
mod dovecot;
mod policy;
mod port;
mod postfix;
mod process;
mod scripted;
mod session;

pub use dovecot::{Capabilities, Dovecot, DovecotBuilder, PASSWORD};
pub use policy::Asked;
pub use postfix::{Postfix, PostfixBuilder};
pub use scripted::{Script, ScriptedServer};
pub use session::{Reply, Session};

use std::{io, path::Path};

/// Whether a server can be started here; where everything has to be tested, it has to be.
///
/// # Errors
/// Where `CI` says `true` and it cannot.
#[allow(clippy::disallowed_methods, reason = "what a test may leave out is said by its environment")]
fn is_there(program: &str, needs: &str) -> io::Result<bool> {
    use io::Write as _;
    if Path::new(program).exists() {
        return Ok(true);
    }
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{program} is missing: {needs}")));
    }
    // Who closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "left out, because {program} is missing: {needs}");
    Ok(false)
}
