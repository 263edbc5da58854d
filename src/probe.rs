//! Probing: when each backend is asked, and how.
