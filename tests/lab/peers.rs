//! Other edges, each as its documentation advises for checks of the same interval, and for a service that an operator knows
//! to answer within a second.

pub(crate) mod caddy;
pub(crate) mod envoy;
pub(crate) mod haproxy;
pub(crate) mod nginx;

use super::contender::Contender;
use super::process::find;

/// Why some of these contenders cannot be compared here, with the cure.
pub(crate) fn obstacle(contenders: &[Contender]) -> Option<String> {
    let lacks: Vec<_> = contenders
        .iter()
        .filter_map(|contender| match contender {
            Contender::Bascule | Contender::Caddy | Contender::CaddyTuned => None,
            Contender::Haproxy => find("haproxy").is_none().then_some("haproxy (`apt-get install haproxy`)"),
            Contender::Nginx => find("nginx").is_none().then_some("nginx (`apt-get install nginx`)"),
            Contender::Envoy => envoy::program().is_none().then_some("envoy (`make peers`)"),
        })
        .collect();
    (!lacks.is_empty()).then(|| format!("not all that is compared is here: {}", lacks.join(", ")))
}
