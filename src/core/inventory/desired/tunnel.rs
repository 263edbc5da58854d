use crate::core::model::{GatewayAddress, InterfaceName, PeerKey};

/// What edges reach a site through. At least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The site as a WireGuard peer.
    pub wireguard: Option<WireguardPeer>,
    /// A machine at the far end.
    pub gateway: Option<GatewayAddress>,
}

/// A peer of a WireGuard interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireguardPeer {
    /// The interface.
    pub interface: InterfaceName,
    /// The peer's public key.
    pub peer: PeerKey,
}
