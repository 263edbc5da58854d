use std::sync::Arc;

use super::{Choice, EffectiveService, Inputs, Member, Refusal, Role, Serving, guard};
use crate::core::inventory::{Backend, Policy, closest};
use crate::core::model::{BackendName, ServiceName};

/// Names of backends in one message, at most.
const NAMED_MAX: usize = 3;

/// Traffic that returns to what its service prefers, by an operator's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The service.
    pub service: ServiceName,
    /// What served, where the policy chooses.
    pub from: Option<Choice>,
    /// What serves now, where the policy chooses.
    pub to: Option<Choice>,
    /// The backends that get traffic now and did not.
    pub backends: Vec<BackendName>,
}

/// What would come of an operator's word that the traffic of a service may return now. Refused where nothing would.
pub fn fail_back(inputs: &Inputs<'_>, service: &str) -> Result<Returned, Refusal> {
    let Some((name, service)) = inputs.desired.services.iter().find(|(name, _)| name.as_str() == service) else {
        return Err(unknown(inputs, service));
    };
    let backends: Vec<&Arc<Backend>> = inputs.desired.backends.values().filter(|it| it.service == *name).collect();
    let held = guard::held(inputs);
    let merge = |returning| EffectiveService::merge(&Inputs { returning, ..*inputs }, &held, service, &backends).0;
    let (stays, returns) = (merge(None), merge(Some(name)));
    // Members stand in the order of preference, and both have the same.
    let pairs = || returns.members.iter().zip(&stays.members);
    let gained = |(returns, stays): &(&Member, &Member)| returns.role.gets_traffic() && !stays.role.gets_traffic();
    let first_gained = pairs().position(|pair| gained(&pair));
    let first_now = stays.members.iter().position(|member| member.role.gets_traffic());
    let is_choosing = !matches!(service.routing.policy, Policy::Spread);
    match (first_gained, first_now) {
        (None, _) => Err(Refusal::nothing(why_not(inputs, &stays))),
        // Without its memory a policy may choose something that is preferred less; nobody meant that.
        (Some(gained), Some(now)) if is_choosing && gained > now => Err(Refusal::nothing(why_not(inputs, &stays))),
        (Some(_), _) => Ok(Returned {
            service: name.clone(),
            backends: pairs().filter(gained).map(|(member, _)| member.backend.name.clone()).collect(),
            from: stays.choice,
            to: returns.choice.clone(),
        }),
    }
}

fn unknown(inputs: &Inputs<'_>, service: &str) -> Refusal {
    let names = inputs.desired.services.keys().map(ServiceName::as_str);
    Refusal::unknown(match closest(service, names) {
        Some(close) => format!("no service is named `{service}`; did you mean `{close}`?"),
        None => format!("no service is named `{service}`; `bascule status` shows those there are"),
    })
}

/// Why there is nothing to fail back to.
fn why_not(inputs: &Inputs<'_>, service: &EffectiveService) -> String {
    let name = &service.service.name;
    if service.serving == Serving::Maintenance {
        return format!("service {name} is in maintenance: end that in the inventory first");
    }
    if service.serving == Serving::Nothing {
        return format!("service {name} has no backend that may get traffic: there is nothing to fail back to");
    }
    if service.service.routing.policy == Policy::Spread {
        return format!(
            "service {name} has the policy `spread`, and all that is up serves: there is nothing to fail back to"
        );
    }
    let now = service.members.iter().position(|member| member.role.gets_traffic()).unwrap_or(0);
    let serves = service.choice.as_ref().map_or_else(|| "what it has".to_owned(), Choice::words);
    let is_single = matches!(service.service.routing.policy, Policy::Single { .. });
    let is_preferred = |member: &&Member| is_single || member.tier < service.members[now].tier;
    let before = service.members[..now].iter().filter(is_preferred);
    let before: Vec<_> = before.filter(|member| !is_declared_out(member.role)).collect();
    if before.is_empty() {
        return format!("service {name} is served by {serves} already, and nothing is preferred to that");
    }
    let reasons = before.iter().take(NAMED_MAX).map(|member| {
        let reason = member.reason(inputs.now).unwrap_or_else(|| format!("its verdict is {}", member.verdict));
        format!("{}: {reason}", member.backend.name)
    });
    let more = if before.len() > NAMED_MAX { ", …" } else { "" };
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    format!("service {name} stays with {serves}: what it prefers cannot serve now ({reasons}{more})")
}

fn is_declared_out(role: Role) -> bool {
    matches!(role, Role::Out(why) if why.is_declared())
}
