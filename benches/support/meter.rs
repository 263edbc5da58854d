//! What those that ask and those that answer cost.

use std::time::{Duration, Instant};

use super::backends::INTERVAL;
use super::process::{Fault, Part, cpu_seconds, resident_mb};

/// Time for the checks that are made at once at a load, and for two more rounds.
const WARM_UP: Duration = Duration::from_secs(15);
/// Open files are counted this often.
const LOOK: Duration = Duration::from_millis(500);

/// What checking cost, as medians over windows of one interval each.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Questions answered in a second.
    pub(crate) rate: f64,
    pub(crate) asking: Cost,
    pub(crate) answering: Cost,
    /// Most files that who asks had open at a time, from the start on.
    pub(crate) files: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Share of a core.
    pub(crate) cores: f64,
    pub(crate) resident_mb: f64,
}

/// Watches who asks, by its process, and who answers, which also counts.
pub(crate) async fn measure(asking: u32, answering: &mut Part, time: Duration) -> Result<Figures, Fault> {
    let mut files = wait(asking, WARM_UP).await?;
    let (mut rates, mut asked, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < time {
        let window = Instant::now();
        let before = (answering.done()?, cpu_seconds(asking)?, cpu_seconds(answering.pid())?);
        files = files.max(wait(asking, INTERVAL).await?);
        let after = (answering.done()?, cpu_seconds(asking)?, cpu_seconds(answering.pid())?);
        let seconds = window.elapsed().as_secs_f64();
        rates.push(f64::from(u32::try_from(after.0 - before.0)?) / seconds);
        asked.push((after.1 - before.1) / seconds);
        answered.push((after.2 - before.2) / seconds);
    }
    Ok(Figures {
        rate: median(&mut rates),
        asking: Cost { cores: median(&mut asked), resident_mb: resident_mb(asking)? },
        answering: Cost { cores: median(&mut answered), resident_mb: resident_mb(answering.pid())? },
        files,
    })
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Waits, and returns the most files that were open meanwhile.
async fn wait(pid: u32, time: Duration) -> Result<usize, Fault> {
    let (until, mut files) = (Instant::now() + time, 0);
    loop {
        files = files.max(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count());
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(files);
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}
