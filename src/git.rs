//! The inventory's source: a git repository (remote or local) or a plain directory.
