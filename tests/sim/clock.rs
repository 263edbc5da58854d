//! The wall clock of a simulation: one for each thread, since each simulation has a thread of its own. It goes with tokio's
//! paused time, and can be set.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bascule::core::model::Timestamp;
use tokio::time::Instant;

const START_MS: i64 = 1_700_000_000_000;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static SET_BY_MS: Cell<i64> = const { Cell::new(0) };
    static TIMES_SET: Cell<u64> = const { Cell::new(0) };
    /// When it was set, and what it was off by before.
    static SETS: RefCell<Vec<(Instant, i64)>> = const { RefCell::new(Vec::new()) };
}

/// Begins a simulation.
pub(crate) fn begin() {
    BEGAN.set(Some(Instant::now()));
    SET_BY_MS.set(0);
    SETS.take();
    TIMES_SET.set(0);
}

/// Time since the simulation began, which nobody can set.
pub(crate) fn elapsed() -> Duration {
    BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed())
}

/// What the wall clock says.
pub(crate) fn now() -> Timestamp {
    let elapsed = i64::try_from(elapsed().as_millis()).expect("a simulation is short");
    Timestamp::from_unix_millis(START_MS + elapsed + SET_BY_MS.get())
}

/// Sets the wall clock forward, or back.
pub(crate) fn set_by(millis: i64) {
    SETS.with_borrow_mut(|sets| sets.push((Instant::now(), SET_BY_MS.get())));
    SET_BY_MS.set(SET_BY_MS.get() + millis);
    TIMES_SET.set(TIMES_SET.get() + 1);
}

/// By how much it has been set so far, in milliseconds.
pub(crate) fn set_ms() -> i64 {
    SET_BY_MS.get()
}

/// True where it was set within this time.
pub(crate) fn was_set_within(time: Duration) -> bool {
    SETS.with_borrow(|sets| sets.last().is_some_and(|(at, _)| at.elapsed() < time))
}

/// By how much it had been set that long ago, in milliseconds.
pub(crate) fn set_ms_before(time: Duration) -> i64 {
    let before = SETS.with_borrow(|sets| sets.iter().find(|(at, _)| at.elapsed() < time).map(|(_, before)| *before));
    before.unwrap_or_else(set_ms)
}

/// How often it was set.
pub(crate) fn times_set() -> u64 {
    TIMES_SET.get()
}
