//! wrk and nginx, set up and read.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::Done;
use crate::{Outcome, Server};

/// What is signed with.
pub(super) const SECRET: &str = "It's a Secret to Everybody";

/// A body of 1 KiB, and its signature. The id stands in a header that is not signed, so that each request is another event
/// without wrk having to sign.
fn script() -> String {
    let body = body();
    format!(
        "wrk.method = 'POST'\n\
         wrk.body = '{body}'\n\
         wrk.headers['Content-Type'] = 'application/json'\n\
         wrk.headers['X-Hub-Signature-256'] = '{}'\n\
         local threads = 0\n\
         function setup(thread) thread:set('id', threads); threads = threads + 1 end\n\
         local count = 0\n\
         function request()\n\
           count = count + 1\n\
           wrk.headers['X-GitHub-Delivery'] = string.format('72d3162e-cc78-11e3-%04d-%012d', id, count)\n\
           return wrk.format()\n\
         end\n",
        super::serve::signature(body.as_bytes()),
    )
}

fn body() -> String {
    let start = r#"{"action":"opened","number":7,"text":""#;
    format!("{start}{}\"}}", "x".repeat(1024 - start.len() - 2))
}

/// Sends for so long, and reads what wrk says.
pub(super) fn wrk(folder: &Path, url: &str, seconds: u64, connections: u64) -> Outcome<Done> {
    let lua = folder.join("load.lua");
    fs::write(&lua, script())?;
    let output = Command::new("wrk")
        .args(["-t2", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", "-s"])
        .arg(&lua)
        .arg(url)
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("wrk failed: {said}").into());
    }
    let mut done = Done::default();
    for line in said.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("50%"), Some(time)) => done.p50_ms = millis(time)?,
            (Some("99%"), Some(time)) => done.p99_ms = millis(time)?,
            (Some("Requests/sec:"), Some(rate)) => done.per_second = rate.parse()?,
            (Some("Non-2xx"), _) => done.failed += number_at_end(line),
            (Some("Socket"), _) => {
                let numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok());
                done.failed += numbers.sum::<u64>();
            }
            _ => {}
        }
    }
    Ok(done)
}

fn number_at_end(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

/// `812.00us`, `1.23ms`, `1.20s`.
fn millis(time: &str) -> Outcome<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number: f64 = time.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    });
    found.ok_or_else(|| format!("what is {time}?").into())
}

/// nginx, with a worker for each core as it comes, until this is dropped.
pub(super) struct Nginx {
    pub(super) url: String,
    _server: Server,
}

pub(super) fn nginx(folder: &Path) -> Outcome<Nginx> {
    // Free for the moment, which has to do.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let place = folder.display();
    let config = format!(
        "daemon off;\nmaster_process on;\nworker_processes auto;\npid {place}/nginx.pid;\nerror_log stderr error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  client_body_temp_path {place}/body;\n\
         \x20 proxy_temp_path {place}/proxy;\n  fastcgi_temp_path {place}/fastcgi;\n  uwsgi_temp_path {place}/uwsgi;\n\
         \x20 scgi_temp_path {place}/scgi;\n\
         \x20 server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let child =
        Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(&file).stdin(Stdio::null()).spawn()?;
    let server = Server(child);
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(Nginx { url: format!("http://127.0.0.1:{port}/in"), _server: server });
        }
        thread::sleep(Duration::from_millis(25));
    }
    Err("nginx does not listen".into())
}

impl Drop for Nginx {
    /// Asked to stop, it ends its workers too; killed, it would leave them.
    fn drop(&mut self) {
        let pid = self._server.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self._server.0.wait();
    }
}
