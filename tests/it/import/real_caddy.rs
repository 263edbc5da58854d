//! The old configuration and the imported one in real Caddys, which must answer each request of the proof as it says.

use std::net::Ipv4Addr;

use bascule::core::import::{Extent, Settings, import, text};
use serde_json::{Value, json};

use crate::support::caddy::{Boot, Caddy};
use crate::support::http::HttpBackend;
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

/// Routes in most shapes that are carried, and some that are not.
fn config(port: u16, dial: impl Fn(usize) -> String) -> Value {
    let proxy = |number: usize| json!({"handler": "reverse_proxy", "upstreams": [{"dial": dial(number)}]});
    let site = |host: &str, routes: Value| json!({"match": [{"host": [host]}], "handle": [{"handler": "subroute", "routes": routes}], "terminal": true});
    let routes = json!([
        site(
            "a.example.org",
            json!([
                {"group": "g", "match": [{"path": ["/api/*"]}], "handle": [proxy(0)]},
                {"group": "g", "match": [{"path": ["/Deep/er", "/deep/er/*"]}], "handle": [proxy(1)]},
                {"group": "g", "match": [{"path": ["/app/*"]}],
                    "handle": [{"handler": "rewrite", "strip_path_prefix": "/app"}, proxy(2)]},
                {"group": "g", "handle": [proxy(3)]},
            ])
        ),
        site("b.wild.example.org", json!([{"handle": [proxy(4)]}])),
        site("*.wild.example.org", json!([{"handle": [proxy(5)]}])),
        site(
            "posts.example.org",
            json!([
                {"match": [{"method": ["POST"]}], "handle": [proxy(6)]},
                {"handle": [proxy(7)]},
            ])
        ),
    ]);
    let server =
        json!({"listen": [format!("127.0.0.1:{port}")], "automatic_https": {"disable": true}, "routes": routes});
    json!({"apps": {"http": {"servers": {"web": server}}}})
}

async fn answer(client: &reqwest::Client, port: u16, host: &str, path: &str) -> String {
    let url = format!("http://127.0.0.1:{port}{path}");
    wait_for("Caddy's answer", SOON, || async {
        client.get(&url).header("host", host).send().await.ok()?.text().await.ok()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn real_caddys_answer_as_the_proof_says() {
    let mut backends = Vec::new();
    for number in 0..8 {
        backends.push(HttpBackend::start_on(&format!("backend-{number}"), Ipv4Addr::LOCALHOST).await);
    }
    let (old_port, new_port) = (ReservedPort::take(), ReservedPort::take());
    let old = config(old_port.get(), |number| backends[number].address().to_string());
    // At an address that is not of loopback an edge has no relay, which nobody would answer here.
    let settings = Settings { site: None, admin: Some("http://10.0.0.1:2019".parse().expect("an address")) };
    let import = import(&old, &settings).expect("it can be imported");
    let mut new = import.rendered.config();
    new["apps"]["http"]["servers"]["bascule-http"]["listen"] = json!([format!("127.0.0.1:{}", new_port.get())]);
    let _old = Caddy::start_with(Boot { config: Some(old), ..Boot::default() }).await;
    let _new = Caddy::start_with(Boot { config: Some(new), ..Boot::default() }).await;

    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    // What is no backend's name is an answer of Caddy itself.
    let name = |body: String| backends.iter().any(|it| it.name() == body).then_some(body);
    let named =
        |words: &str| backends.iter().find(|it| it.address().to_string() == words).map(|it| it.name().to_owned());
    let mut asked = 0;
    for request in &import.proof.proved {
        for host in [request.host.clone(), format!("{}:1234", request.host)] {
            let before = name(answer(&client, old_port.get(), &host, &request.path).await);
            let after = name(answer(&client, new_port.get(), &host, &request.path).await);
            assert_eq!(before, after, "{host}{}\n{}", request.path, text(&import, Extent::Folded));
            asked += usize::from(before.is_some());
        }
    }
    assert!(asked >= 40, "only {asked} requests reached a backend");
    assert!(!import.proof.differences.is_empty() && import.is_explained(), "{}", text(&import, Extent::Folded));
    for difference in &import.proof.differences {
        let request = &difference.request;
        let before = name(answer(&client, old_port.get(), &request.host, &request.path).await);
        let after = name(answer(&client, new_port.get(), &request.host, &request.path).await);
        let expected = (named(&difference.before), named(&difference.after));
        assert_eq!((before, after), expected, "{request:?}\n{}", text(&import, Extent::Folded));
    }
}
