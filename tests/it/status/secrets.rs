//! Secrets of probes that cannot be sent.

use bascule::core::health::{SecretFault, SecretFaults};

use super::*;

#[test]
fn a_secret_that_cannot_be_sent_is_a_fault_of_each_header_that_names_it() {
    let service =
        |name: &str, health: &str| format!("name: {name}\ndomains: [{name}.acecinema.fr]\nhealth: {health}\n---\n");
    let backend = |service: &str, number: u8| {
        let state = if number == 5 { "disabled" } else { "active" };
        format!(
            "{{service: {service}, name: {service}-{number}, site: dijon, addr: 127.1.0.{number}, port: 80, state: {state}}}\n---\n"
        )
    };
    let services = [
        service(
            "api",
            "{path: /health, headers: {Authorization: 'Bearer ${env:API_TOKEN}', X-Key: '${file:/run/key}'}}",
        ),
        service(
            "www",
            "{all: [{path: /a, headers: {X-A: '${env:API_TOKEN}'}}, {path: /b, headers: {X-A: '${env:API_TOKEN}'}}]}",
        ),
    ];
    let mut backends: String = (1..=5).map(|number| backend("api", number)).collect();
    backends += &backend("www", 9).replace("www-9", "www-dijon-9");
    let desired = desired(Texts { services: &services.concat(), backends: &backends, ..TEXTS });
    let fault = |reason: &str| SecretFault { reason: reason.to_owned(), since: ago(60) };
    let named = |name: &str| name.parse().expect("a name");
    let secrets = SecretFaults::from([
        (named("env:API_TOKEN"), fault("secret `env:API_TOKEN` is not allowed: do that")),
        (named("env:OF_NOBODY"), fault("secret `env:OF_NOBODY` is not allowed")),
    ]);
    let info =
        RevisionInfo { id: Revision::new("1"), author: String::new(), subject: String::new(), committed_at: NOW };
    let status = view(&Inputs { served: Some((&info, &desired)), secrets: &secrets, ..nothing_known(NOW) });
    let said: Vec<String> =
        status.faults.iter().map(|it| format!("{}: {} ({} s)", it.scope, it.message, it.age_seconds)).collect();
    let words = |header: &str, of: &str| {
        format!(
            "the header `{header}` of its probe cannot be sent: secret `env:API_TOKEN` is not allowed: do that; until then that \
             is not asked of {of}, and what was known of it stays (60 s)"
        )
    };
    let expected = [
        format!("service api: {}", words("Authorization", "api-1, api-2, api-3 and 1 other")),
        format!("service www: {}", words("X-A", "www-dijon-9")),
    ];
    assert_eq!(said, expected);
}
