//! Reading real WireGuard interfaces: what a process says over its socket, and what `wg` says of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use bascule::core::health::PeerReading;
use bascule::core::model::{PeerKey, Timestamp};
use bascule::probe::{PeerError, Peers, read_by_program, read_by_socket, read_peers};

use super::waiting::{catch_signals, wait_for};
use super::world::{PATIENCE, World, obstacle};

/// A session is not older than this while it is used.
const SESSION_MAX: Duration = Duration::from_mins(3);

pub(crate) fn tunnels_are_read() {
    if let Some(reason) = obstacle() {
        panic!("the lab cannot run here: {reason}\n`make test LAB=no` runs everything else");
    }
    catch_signals();
    let mut world = World::build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let interface = world.hub_interface().parse().expect("an interface's name");
    let by_socket = || runtime.block_on(read_by_socket(&world.hub_socket())).expect("wireguard-go answers");
    let by_program = || runtime.block_on(read_by_program(&interface)).expect("wg answers");
    let keys: Vec<PeerKey> = world.sites.iter().map(|site| site.peer.parse().expect("a key")).collect();

    // The backends of every site have been asked through its tunnel, so each has a session.
    let [before, between, after] = [by_socket(), by_program(), by_socket()];
    for key in &keys {
        let [before, between, after] = [&before, &between, &after].map(|peers| peers[key]);
        let handshake = before.last_handshake.expect("a session was agreed on");
        let age = Timestamp::from_system(SystemTime::now()).since(handshake);
        assert!(age < SESSION_MAX, "{key}: {age:?}");
        assert_eq!(between.last_handshake, before.last_handshake, "{key}: a second way to read the same");
        for (earlier, later) in [(before, between), (between, after)] {
            assert!(earlier.received > 0 && earlier.received <= later.received, "{key}: {earlier:?}, {later:?}");
            assert!(earlier.sent > 0 && earlier.sent <= later.sent, "{key}: {earlier:?}, {later:?}");
        }
    }
    assert_eq!(before.len(), keys.len());
    assert_eq!(runtime.block_on(read_peers(&interface)).map(|peers| peers.len()).expect("it is read"), keys.len());

    let missing = "bl-nothing".parse().expect("an interface's name");
    let error = runtime.block_on(read_peers(&missing)).expect_err("there is no such interface");
    assert!(matches!(&error, PeerError::Program { words, .. } if !words.is_empty()), "{error}");
    let error = runtime.block_on(read_by_socket(Path::new("/var/run/wireguard/bl-nothing.sock")));
    assert!(matches!(error, Err(PeerError::Socket { .. })), "{error:?}");

    a_site_that_is_killed_falls_silent(&mut world, keys[0], |world| {
        runtime.block_on(read_by_socket(&world.hub_socket())).expect("wireguard-go answers")
    });
}

/// What is sent to a peer counts on, and nothing is received any more: what the judging of silence rests on.
fn a_site_that_is_killed_falls_silent(world: &mut World, key: PeerKey, read: impl Fn(&World) -> Peers) {
    world.sites[0].kill_tunnel();
    let address = world.sites[0].backends[0].address;
    // What was on its way has been counted by the end of the first of these.
    world.hub.get(address, "/health", Duration::from_millis(500));
    let PeerReading { received, sent, .. } = read(world)[&key];
    let after = wait_for("bytes to be sent into the silence", PATIENCE, || {
        world.hub.get(address, "/health", Duration::from_millis(500));
        let reading = read(world)[&key];
        (reading.sent > sent + 2 * 96).then_some(reading)
    });
    assert_eq!(after.received, received);
}
