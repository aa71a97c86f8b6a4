//! What this process has used, from the kernel's own accounts.

use std::path::Path;

use crate::Outcome;

/// CPU seconds of this process, user and system. The kernel counts in ticks of 10 ms.
pub(crate) fn cpu_seconds() -> Outcome<f64> {
    ticks_from(11)
}

/// CPU seconds of the processes that this one has started and waited for.
pub(crate) fn children_cpu_seconds() -> Outcome<f64> {
    ticks_from(13)
}

fn ticks_from(field: usize) -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no /proc/self/stat")?;
    let mut ticks = fields.split(' ').skip(field).take(2).map(str::parse::<f64>);
    let (user, system) = (ticks.next().ok_or("no user time")??, ticks.next().ok_or("no system time")??);
    Ok((user + system) / 100.0)
}

/// The most memory it has had resident, in MB.
pub(crate) fn peak_mb() -> Outcome<f64> {
    peak_mb_of(Path::new("/proc/self/status"))
}

/// The same of the process with this status.
pub(crate) fn peak_mb_of(status: &Path) -> Outcome<f64> {
    let status = std::fs::read_to_string(status)?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmHWM")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
