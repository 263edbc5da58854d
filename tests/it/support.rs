//! What several tests need: real programs, scratch folders, waiting with a deadline.
