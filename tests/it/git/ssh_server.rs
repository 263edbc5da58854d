//! ssh_server
