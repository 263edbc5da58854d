//! The state file: what must survive a restart, in one SQLite database.
