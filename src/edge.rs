//! Edges: reading and replacing the configuration of a Caddy.
