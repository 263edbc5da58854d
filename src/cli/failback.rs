use std::process::ExitCode;

use reqwest::Method;

use super::overrides::OrderArgs;
use super::print;
use crate::core::status::FailbackDto;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service.
    service: String,
    #[command(flatten)]
    order: OrderArgs,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { service, order } = args;
    let (server, by) = order.open()?;
    let place = ["v1", "services", &service, "failback"];
    let body = server.order(Method::POST, &place, &serde_json::json!({ "by": by })).await?;
    let FailbackDto { service, from, to, backends } = server.read(&body)?;
    let backends = backends.join(", ");
    print(match (from, to) {
        (Some(from), Some(to)) => format!("service {service}: traffic returns from {from} to {to} ({backends})\n"),
        _ => format!("service {service}: traffic returns to {backends}\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}
