//! What only a real Caddy can show.

use bascule::core::caddy::{Actual, Standing};
use bascule::edge::{Admin, AdminError, ApplyReport, ApplySettings, CaddyAdmin, FaultClass, Order, Outcome, apply};
use serde_json::{Value, json};

use super::stage::{config, digest, now, quick, with_config};
use crate::support::caddy::Caddy;
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

fn admin_of(caddy: &Caddy) -> CaddyAdmin {
    CaddyAdmin::new(caddy.address().clone(), quick()).expect("a client can be made")
}

async fn pass(admin: &CaddyAdmin, wanted: &Value) -> ApplyReport {
    let order = Order { rendered: wanted, instead: None, own: &[digest(wanted)] };
    apply(admin, order, &ApplySettings::default(), now).await
}

/// Reads after a load, when the admin server may be restarting.
async fn read_settled(admin: &CaddyAdmin) -> Actual {
    wait_for("Caddy to be read", SOON, || async { admin.read().await.ok() }).await
}

#[tokio::test]
async fn a_wrong_host_is_told_what_to_add() {
    let caddy = Caddy::start_with(with_config(json!({"admin": {"origins": ["ctl.example.org"]}}))).await;
    let error = admin_of(&caddy).read().await.expect_err("the host is not allowed");
    let host = caddy.address().to_string().replace("http://", "");
    assert!(matches!(error, AdminError::Forbidden { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "Caddy at http://{host} refuses this client: host not allowed: {host}; its `admin.origins` must contain `{host}`"
        )
    );
    assert_eq!(error.class(), FaultClass::Retry);
}

#[tokio::test]
async fn an_enforced_origin_is_sent() {
    let port = ReservedPort::take();
    // No `origins`: Caddy allows its own loopback address, as host and as origin.
    let caddy = Caddy::start_with(with_config(json!({"admin": {"enforce_origin": true}}))).await;
    let wanted = config(&port, "one");
    let report = pass(&admin_of(&caddy), &wanted).await;
    assert!(matches!(report.outcome, Outcome::Applied), "{report:#?}");
}

#[tokio::test]
async fn etags_are_as_measured() {
    let caddy = Caddy::start().await;
    let admin = admin_of(&caddy);
    let first = admin.read().await.expect("it answers");
    assert_eq!((first.config, first.etag.as_str()), (Value::Null, "\"/config/ 396548453caeba50\""));
    // A guarded write in place of `null` works; the spent tag then does not.
    admin.replace(b"{\"apps\":{}}".to_vec(), &first.etag).await.expect("it is taken");
    let second = read_settled(&admin).await;
    let error = admin.replace(b"{}".to_vec(), &first.etag).await.expect_err("the tag is spent");
    assert!(matches!(error, AdminError::Conflict { .. }), "{error:?}");
    // The same in another spelling is taken without a reload: the tag stays.
    admin.replace(b" { \"apps\" : { } } ".to_vec(), &second.etag).await.expect("it is taken");
    assert_eq!(read_settled(&admin).await, second);
    assert!(caddy.log().contains("config is unchanged"), "{}", caddy.log());
}

#[tokio::test]
async fn a_duplicate_id_is_rejected_too() {
    let port = ReservedPort::take();
    let caddy = Caddy::start().await;
    let mut wanted = config(&port, "one");
    let routes = wanted["apps"]["http"]["servers"]["main"]["routes"].as_array_mut().expect("there are routes");
    routes.push(routes[0].clone());
    let report = pass(&admin_of(&caddy), &wanted).await;
    assert!(
        matches!(&report.outcome, Outcome::Rejected { status: 400, message } if message.contains("duplicate ID 'svc-a'")),
        "{report:#?}"
    );
}

#[tokio::test]
async fn a_stopped_process_ends_by_deadline_and_is_served_later() {
    let port = ReservedPort::take();
    let caddy = Caddy::start().await;
    let (admin, wanted) = (admin_of(&caddy), config(&port, "one"));
    caddy.pause();
    let report = pass(&admin, &wanted).await;
    assert!(matches!(report.outcome, Outcome::Failed { error: AdminError::Timeout { .. } }), "{report:#?}");
    caddy.resume();
    let report = pass(&admin, &wanted).await;
    assert!(matches!(report.outcome, Outcome::Applied), "{report:#?}");
}

#[tokio::test]
async fn a_killed_caddy_is_unreachable_and_then_empty() {
    let port = ReservedPort::take();
    let mut caddy = Caddy::start().await;
    let (admin, wanted) = (admin_of(&caddy), config(&port, "one"));
    let report = pass(&admin, &wanted).await;
    assert!(matches!(report.outcome, Outcome::Applied), "{report:#?}");
    caddy.kill9();
    let report = pass(&admin, &wanted).await;
    assert!(matches!(report.outcome, Outcome::Failed { error: AdminError::Unreachable { .. } }), "{report:#?}");
    caddy.start_again().await;
    let report = pass(&admin, &wanted).await;
    assert!(matches!(report.outcome, Outcome::Applied), "{report:#?}");
    assert_eq!(report.before.expect("it was read").standing, Standing::Empty);
}
