//! hung
