//! mbsync and offlineimap, set up to pull one mailbox into a Maildir.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use connector_testkit::mail::PASSWORD;

use super::USER;
use crate::{Cost, Outcome, usage};

pub(super) fn is_other(way: &str) -> bool {
    program(way).is_some()
}

/// Whether it is installed; ours is always.
pub(super) fn is_there(way: &str) -> bool {
    let there = program(way).is_none_or(|program| Path::new(program).exists());
    if !there {
        eprintln!("way {way} is left out: apt-get install isync offlineimap3");
    }
    there
}

fn program(way: &str) -> Option<&'static str> {
    match way {
        "m" | "n" => Some("/usr/bin/mbsync"),
        "o" => Some("/usr/bin/offlineimap"),
        _ => None,
    }
}

/// Lets it pull, and says what its process has used.
pub(super) fn pull(way: &str, address: SocketAddr, folder: &Path) -> Outcome<Cost> {
    let (config, mail) = (folder.join("config"), folder.join("mail"));
    fs::create_dir(&mail)?;
    let program = program(way).ok_or("there is no such way")?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&config).env("HOME", folder).stdin(Stdio::null()).stdout(Stdio::null());
    if way == "o" {
        fs::write(&config, offlineimap(address, folder, &mail))?;
        command.args(["-o", "-u", "quiet"]);
    } else {
        fs::write(&config, mbsync(address, &mail, way == "n"))?;
        command.arg("bench");
    }
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let start = Instant::now();
    let mut child = command.spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0f64;
    let ended = loop {
        // The kernel forgets it when the process ends; it only rises, and is looked at often enough.
        peak = peak.max(usage::peak_mb_of(&status).unwrap_or(0.0));
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let wall_seconds = start.elapsed().as_secs_f64();
    if !ended.success() {
        return Err(format!("{program} failed: {ended}").into());
    }
    let (records, bytes) = maildir(&mail)?;
    Ok(Cost { records, bytes, wall_seconds, cpu_seconds: usage::children_cpu_seconds()?, peak_mb: peak })
}

fn mbsync(address: SocketAddr, mail: &Path, fast: bool) -> String {
    format!(
        "{}IMAPAccount bench\nHost {}\nPort {}\nUser {USER}\nPass {PASSWORD}\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount bench\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\n\n\
         Channel bench\nFar :far:\nNear :near:\nPatterns INBOX\nSync Pull\nCreate Near\nSyncState *\n",
        if fast { "FSync no\n\n" } else { "" },
        address.ip(),
        address.port(),
        mail = mail.display(),
    )
}

fn offlineimap(address: SocketAddr, folder: &Path, mail: &Path) -> String {
    format!(
        "[general]\naccounts = bench\nmetadata = {}\n\n[Account bench]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {}\n\n[Repository far]\ntype = IMAP\nremotehost = {}\n\
         remoteport = {}\nremoteuser = {USER}\nremotepass = {PASSWORD}\nssl = no\nstarttls = no\n\
         auth_mechanisms = PLAIN\nreadonly = True\nfolderfilter = lambda name: name == 'INBOX'\n",
        folder.join("state").display(),
        mail.display(),
        address.ip(),
        address.port(),
    )
}

/// Messages and bytes in all Maildirs under a folder.
fn maildir(folder: &Path) -> Outcome<(u64, u64)> {
    let (mut messages, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let is_mail = folder.ends_with("new") || folder.ends_with("cur");
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_mail {
                messages += 1;
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok((messages, bytes))
}
