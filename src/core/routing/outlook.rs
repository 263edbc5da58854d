use super::{Effective, Inputs, Override, Role, Serving, Target};
use crate::core::inventory::Backend;

/// What an operator should know of an override that is about to hold: services that it leaves without a living backend,
/// and where it changes nothing. The inputs have it among their overrides, and the plan before it as the previous one.
pub fn outlook(inputs: &Inputs<'_>, decided: &Override) -> Vec<String> {
    let (after, _) = Effective::merge(inputs);
    let mut warnings = Vec::new();
    let is_meant = |backend: &Backend| match &decided.target {
        Target::Backend(name) => backend.name == *name,
        Target::Site(name) => backend.site == *name,
    };
    let members = after.services.values().flat_map(|service| &service.members);
    let meant: Vec<_> = members.filter(|member| is_meant(&member.backend)).collect();
    let is_declared_out = |role: Role| matches!(role, Role::Out(why) if why.is_declared());
    if meant.is_empty() {
        warnings.push(format!("{} has no backend: the override changes nothing", decided.target));
    } else if meant.iter().all(|member| is_declared_out(member.role)) {
        let why: Vec<_> = meant.iter().filter_map(|member| member.role.reason()).collect();
        let why = why.first().map_or("out", String::as_str);
        let target = &decided.target;
        warnings
            .push(format!("the inventory has {target} out ({why}), which comes first: the override changes nothing"));
    }
    for (name, service) in &after.services {
        let before = inputs.previous.and_then(|previous| previous.services.get(name)).map(|before| before.serving);
        if before == Some(service.serving) || !service.members.iter().any(|member| is_meant(&member.backend)) {
            continue;
        }
        warnings.extend(match service.serving {
            Serving::Nothing => Some(format!("service {name} has no backend left: its clients get an error")),
            Serving::Page => Some(format!("service {name} has no backend left that is up: its clients get its page")),
            Serving::LastResort => Some(format!("service {name} has no backend left that is up: the rest is tried")),
            Serving::Full | Serving::Degraded | Serving::Maintenance => None,
        });
    }
    warnings
}
