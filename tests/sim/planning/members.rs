//! What plans say of members, in short.

use bascule::core::inventory::{Policy, Service};
use bascule::core::routing::{Action, EffectiveService, Exclusion, Member, Role};

pub(super) fn was_out(before: &EffectiveService, member: &Member) -> bool {
    before.member(&member.backend.name).is_none_or(|it| !it.role.gets_traffic())
}

pub(super) fn is_single(service: &Service) -> bool {
    matches!(service.routing.policy, Policy::Single { .. })
}

pub(super) fn is_flapping(member: &Member) -> bool {
    matches!(member.role, Role::Out(Exclusion::Flapping { .. }))
}

pub(super) fn is_overridden(member: &Member, action: Action) -> bool {
    member.overridden.as_ref().is_some_and(|it| it.action == action)
}

pub(super) fn roles(service: &EffectiveService) -> Vec<String> {
    let role = |member: &Member| format!("{}:{}:{:?}", member.backend.name, member.verdict, member.role);
    service.members.iter().map(role).collect()
}
