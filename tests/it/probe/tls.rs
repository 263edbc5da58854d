use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bascule::core::health::{Failure, Outcome};
use bascule::core::inventory::UpstreamTls;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use tokio_native_tls::TlsAcceptor;
use tokio_native_tls::native_tls::{self, Identity};

use super::rig::{OK, Rig, hostname, http_with, outcome_of, rerun, set, target, timing_out};
use super::server::{Greeting, Server};

/// A certificate with its key.
pub(super) struct Pair {
    certificate: X509,
    key: PKey<Private>,
}

/// Makes a certificate for a name; without an issuer it signs itself and may sign others.
pub(super) fn pair(dns: &str, issuer: Option<&Pair>) -> Pair {
    let key = PKey::ec_gen("prime256v1").expect("a key");
    let mut subject = X509Name::builder().expect("a name");
    subject.append_entry_by_nid(Nid::COMMONNAME, dns).expect("a name");
    let subject = subject.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("version 3");
    let serial = BigNum::from_u32(if issuer.is_some() { 2 } else { 1 }).and_then(|number| number.to_asn1_integer());
    builder.set_serial_number(&serial.expect("a number")).expect("a serial");
    builder.set_subject_name(&subject).expect("a subject");
    builder.set_issuer_name(issuer.map_or(&*subject, |it| it.certificate.subject_name())).expect("an issuer");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a time")).expect("a time");
    let name = SubjectAlternativeName::new().dns(dns).build(&builder.x509v3_context(None, None)).expect("a name");
    builder.append_extension(name).expect("an extension");
    if issuer.is_none() {
        builder.append_extension(BasicConstraints::new().ca().build().expect("constraints")).expect("an extension");
    }
    builder.sign(issuer.map_or(&key, |it| &it.key), MessageDigest::sha256()).expect("signs");
    Pair { certificate: builder.build(), key }
}

/// What accepts TLS with a certificate, and agrees on one of these protocols.
pub(super) fn acceptor(pair: &Pair, protocols: &[&str]) -> TlsAcceptor {
    let certificate = pair.certificate.to_pem().expect("PEM");
    let key = pair.key.private_key_to_pem_pkcs8().expect("PEM");
    let identity = Identity::from_pkcs8(&certificate, &key).expect("an identity");
    let acceptor = native_tls::TlsAcceptor::builder(identity).accept_alpn(protocols).build().expect("an acceptor");
    TlsAcceptor::from(acceptor)
}

async fn server(pair: &Pair) -> Server {
    Server::start_tls(acceptor(pair, &[]), OK).await
}

pub(super) fn tls(server_name: Option<&str>, verify: bool) -> UpstreamTls {
    UpstreamTls { server_name: server_name.map(hostname), verify }
}

#[tokio::test]
async fn a_certificate_of_nobody_passes_only_unverified() {
    let server = server(&pair("api.acecinema.fr", None)).await;
    let kind = |verify| http_with(Some("api.acecinema.fr"), Some(tls(None, verify)), &["200"]);
    assert_eq!(outcome_of(target(server.address, kind(false))).await, Outcome::Pass);
    let outcome = outcome_of(target(server.address, kind(true))).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Tls(why)) if why.contains("self-signed")), "{outcome:?}");
}

#[tokio::test]
async fn tls_connections_are_used_again() {
    let server = server(&pair("api.acecinema.fr", None)).await;
    let kind = http_with(Some("api.acecinema.fr"), Some(tls(None, false)), &["200"]);
    let mut rig = Rig::start(set([("api-1", target(server.address, kind))]));
    assert!(rig.take(10).await.iter().all(|sample| sample.outcome.is_pass()));
    assert_eq!(server.seen().connections, 1);
}

#[tokio::test]
async fn the_end_of_a_certificate_is_told_with_each_handshake() {
    let pair = pair("api.acecinema.fr", None);
    let server = server(&pair).await;
    let kind = http_with(Some("api.acecinema.fr"), Some(tls(None, false)), &["200"]);
    let mut rig = Rig::start(set([("api-1", target(server.address, kind))]));
    let told: Vec<_> = rig.take(3).await.iter().map(|sample| sample.told.certificate_ends).collect();
    let ends = told[0].expect("the first probe opens a connection").unix_millis();
    let now =
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("small");
    // It was made for a day, at most a test's length ago.
    assert!((now + 80_000_000..=now + 86_400_000).contains(&ends), "{ends} at {now}");
    assert_eq!(told[1..], [None, None], "the others use it again");
}

#[tokio::test]
async fn the_server_name_is_sent() {
    let server = server(&pair("api.acecinema.fr", None)).await;
    for (server_name, host, expected) in [
        (Some("inner.example.org"), Some("api.acecinema.fr"), Some("inner.example.org")),
        (None, Some("api.acecinema.fr"), Some("api.acecinema.fr")),
        (None, None, None),
    ] {
        let kind = http_with(host, Some(tls(server_name, false)), &["200"]);
        assert_eq!(outcome_of(target(server.address, kind)).await, Outcome::Pass);
        let seen = server.seen();
        let hello = seen.hellos.last().expect("a connection");
        for name in ["inner.example.org", "api.acecinema.fr"] {
            let is_sent = hello.windows(name.len()).any(|bytes| bytes == name.as_bytes());
            assert_eq!(is_sent, expected == Some(name), "{name} for {server_name:?} {host:?}");
        }
        let host = host.map_or(server.address.to_string(), str::to_owned);
        let request = seen.requests.last().expect("a request");
        assert!(request.contains(&format!("host: {host}\r\n")), "{request}");
    }
}

/// The authority is told by `SSL_CERT_FILE`, as an operator would, so this runs in a process of its own.
#[tokio::test]
async fn a_trusted_certificate_must_carry_the_name() {
    const NAME: &str = "probe::tls::a_trusted_certificate_must_carry_the_name";
    const ADDRESS: &str = "BASCULE_TEST_TLS_ADDRESS";
    let Ok(address) = std::env::var(ADDRESS) else {
        let authority = pair("authority.example.org", None);
        let server = server(&pair("api.acecinema.fr", Some(&authority))).await;
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&authority.certificate.to_pem().expect("PEM")).expect("writes");
        let address = server.address.to_string();
        let path = file.path().to_str().expect("a plain path");
        return rerun(NAME, &[(ADDRESS, &address), ("SSL_CERT_FILE", path)]).await;
    };
    let address = address.parse().expect("an address");
    for (server_name, host, passes) in [
        (Some("api.acecinema.fr"), Some("other.example.org"), true),
        (None, Some("api.acecinema.fr"), true),
        (Some("other.example.org"), Some("api.acecinema.fr"), false),
        (None, Some("other.example.org"), false),
        (None, None, false),
    ] {
        let outcome = outcome_of(target(address, http_with(host, Some(tls(server_name, true)), &["200"]))).await;
        match outcome {
            Outcome::Pass => assert!(passes, "{server_name:?} {host:?}"),
            Outcome::Fail(Failure::Tls(why)) => {
                assert!(!passes && why.contains("mismatch"), "{server_name:?} {host:?}: {why}");
            }
            Outcome::Fail(other) => panic!("{server_name:?} {host:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_fails_as_tls_where_it_speaks() {
    let kind = http_with(None, Some(tls(None, false)), &["200"]);
    let greeting = Greeting::start("220 mail.example.org\r\n").await;
    let outcome = outcome_of(target(greeting.address, kind.clone())).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Tls(_))), "{outcome:?}");
    // One that waits for the end of a line says nothing to a TLS greeting.
    let waiting = Server::answering(OK).await;
    let outcome = outcome_of(timing_out(waiting.address, kind, Duration::from_millis(200))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Timeout));
}
