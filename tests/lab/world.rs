//! The sites, the hub and the client: namespaces on one machine, joined by an underlay and by real WireGuard tunnels.
//!
//! ```text
//!   client 192.0.2.2 ──── 192.0.2.1 hub 10.200.0.1 ── WireGuard over 198.51.100.N/30 ── site N  10.200.N.0/24
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use super::backends::Backend;
use super::namespace::{Namespace, is_gone, run_prefix, sweep};
use super::process::{Program, find, run, tool};
use super::waiting::wait_for;

/// Sites by name; the position is one less than the third byte of the network.
pub(crate) const SITES: [&str; 3] = ["dijon", "thory", "vezelay"];
pub(crate) const BACKENDS_EACH: u8 = 3;
/// Where clients reach the edge.
pub(crate) const EDGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);
/// For a program to start, and for a tunnel to come up on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const TUNNEL_PORT: u16 = 51_820;
/// Where wireguard-go has its control sockets, and what the lab's are named by. An interface's name has 15 bytes at most.
const SOCKETS: &str = "/var/run/wireguard";
const INTERFACE: &str = "bl";
/// What a site behind a provider's address translation keeps its mapping open with (wg(8), `PersistentKeepalive`).
const KEEPALIVE: &str = "PersistentKeepalive = 25\n";

/// What must be there to build a world, with the Debian package that brings it.
const NEEDS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("setpriv", "util-linux"),
    ("git", "git"),
];

/// Why a world cannot be built here, with the cure; none when it can.
pub(crate) fn obstacle() -> Option<String> {
    let lacks: Vec<_> = NEEDS.iter().filter(|(program, _)| find(program).is_none()).collect();
    if !lacks.is_empty() {
        let [programs, packages] = [lacks.iter().map(|it| it.0).collect(), lacks.iter().map(|it| it.1).collect()]
            .map(|names: Vec<&str>| names.join(" "));
        return Some(format!("these programs are missing: {programs}; `apt-get install {packages}` brings them"));
    }
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root: run it with sudo".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some(
            "/dev/net/tun is missing: `modprobe tun` brings it, or `--device /dev/net/tun` in a container".into(),
        );
    }
    let probe = tool("ip").args(["netns", "list"]).stdout(Stdio::null()).status();
    (!probe.is_ok_and(|status| status.success()))
        .then(|| "`ip netns list` fails: is this a restricted container?".into())
}

/// Everything that stays the same while contenders and cuts change. Taken down when dropped.
pub(crate) struct World {
    pub(crate) sites: Vec<Site>,
    hub_tunnel: Tunnel,
    pub(crate) hub: Namespace,
    pub(crate) client: Namespace,
    folder: TempDir,
}

/// A site: its backends, its end of the tunnel, its machine.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) backends: Vec<Backend>,
    tunnel: Tunnel,
    pub(crate) namespace: Namespace,
    /// Where its programs write their logs.
    folder: PathBuf,
}

impl World {
    /// Builds the world, and waits until the hub reaches every backend.
    pub(crate) fn build() -> Self {
        sweep();
        sweep_tunnels();
        let folder = tempfile::Builder::new().prefix(&run_prefix()).tempdir().expect("a scratch folder");
        let (client, hub) = (Namespace::add("client"), Namespace::add("hub"));
        // As docs/operations.md advises: a connection that waits to be accepted moves on when Caddy replaces its listeners.
        hub.set("net/ipv4/tcp_migrate_req", "1");
        link(&hub, ("to-client", "192.0.2.1/24"), &client, ("wan", "192.0.2.2/24"));
        let hub_key = Key::new();
        let mut hub_conf = vec![format!("[Interface]\nPrivateKey = {}\nListenPort = {TUNNEL_PORT}\n", hub_key.private)];
        let mut sites = Vec::new();
        for (number, name) in (1..).zip(SITES) {
            let namespace = Namespace::add(name);
            let (ours, theirs) = (format!("198.51.100.{}", 4 * number + 1), format!("198.51.100.{}", 4 * number + 2));
            link(&hub, (&uplink(name), &format!("{ours}/30")), &namespace, ("wan", &format!("{theirs}/30")));
            let key = Key::new();
            // The hub learns where a site is from what the site sends, as it does where sites are behind NAT.
            hub_conf.push(format!("[Peer]\nPublicKey = {}\nAllowedIPs = 10.200.{number}.0/24\n", key.public));
            let conf = format!(
                "[Interface]\nPrivateKey = {}\n[Peer]\nPublicKey = {}\nAllowedIPs = 10.200.0.0/16\nEndpoint = {ours}:{TUNNEL_PORT}\n{KEEPALIVE}",
                key.private, hub_key.public
            );
            let tunnel = Tunnel::new(number, conf, vec![format!("10.200.{number}.1/32")], vec!["10.200.0.0/16".into()]);
            let backends = (1..=BACKENDS_EACH)
                .map(|place| {
                    let ip = Ipv4Addr::new(10, 200, number, 10 + place);
                    namespace.ip(&format!("address add {ip}/32 dev lo"));
                    Backend::new(format!("{name}-{place}"), name, SocketAddr::from((ip, 8080)))
                })
                .collect();
            sites.push(Site { name, backends, tunnel, namespace, folder: folder.path().to_owned() });
        }
        let routes = (1..=SITES.len()).map(|number| format!("10.200.{number}.0/24")).collect();
        let hub_tunnel = Tunnel::new(0, hub_conf.concat(), vec!["10.200.0.1/32".into()], routes);
        let mut world = Self { sites, hub_tunnel, hub, client, folder };
        world.start();
        world
    }

    fn start(&mut self) {
        self.hub_tunnel.start(&self.hub, self.folder.path());
        for site in &mut self.sites {
            site.start_tunnel();
            site.start_backends();
        }
        for backend in self.backends() {
            wait_for(&format!("{} to be reached from the hub", backend.name), PATIENCE, || {
                let answer = self.hub.get(backend.address, "/health", Duration::from_secs(1))?;
                (answer.0 == 200).then_some(())
            });
        }
    }

    /// The run's folder: logs, configurations, the repository.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.sites.iter().flat_map(|site| &site.backends)
    }
}

impl Site {
    pub(crate) fn start_tunnel(&mut self) {
        self.tunnel.start(&self.namespace, &self.folder);
    }

    pub(crate) fn kill_tunnel(&mut self) {
        self.tunnel.program = None;
    }

    pub(crate) fn start_backends(&mut self) {
        for backend in &mut self.backends {
            backend.start(&self.namespace, &self.folder);
        }
    }

    pub(crate) fn kill_backends(&mut self) {
        for backend in &mut self.backends {
            backend.kill();
        }
    }
}

/// The hub's interface towards a site.
pub(crate) fn uplink(site: &str) -> String {
    format!("to-{site}")
}

/// A cable between two namespaces, with the name and address of each end. Neither end is ever seen outside of them.
fn link(one: &Namespace, (name, address): (&str, &str), other: &Namespace, (peer, peer_address): (&str, &str)) {
    one.ip(&format!("link add {name} type veth peer name {peer} netns {}", other.name()));
    for (namespace, name, address) in [(one, name, address), (other, peer, peer_address)] {
        namespace.ip(&format!("address add {address} dev {name}"));
        namespace.ip(&format!("link set {name} up"));
    }
}

struct Key {
    private: String,
    public: String,
}

impl Key {
    fn new() -> Self {
        use std::io::Write as _;
        let private = run(tool("wg").arg("genkey"));
        let mut child = tool("wg").arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = child.as_mut().expect("wg can be run");
        child.stdin.take().expect("it is piped").write_all(private.as_bytes()).expect("wg reads its key");
        let mut public = String::new();
        std::io::Read::read_to_string(&mut child.stdout.take().expect("it is piped"), &mut public).expect("a key");
        child.wait().expect("wg ends");
        Self { private, public: public.trim().to_owned() }
    }
}

/// One end of a tunnel: a process of wireguard-go and the interface that lives and dies with it.
struct Tunnel {
    interface: String,
    conf: String,
    addresses: Vec<String>,
    routes: Vec<String>,
    program: Option<Program>,
}

impl Tunnel {
    fn new(number: u8, conf: String, addresses: Vec<String>, routes: Vec<String>) -> Self {
        // Control sockets are files of the machine, named like the interface: the process id keeps runs apart.
        let interface = format!("{INTERFACE}{}n{number}", std::process::id());
        Self { interface, conf, addresses, routes, program: None }
    }

    fn start(&mut self, namespace: &Namespace, folder: &Path) {
        let name = &self.interface;
        let program = find("wireguard-go").expect("it was looked for");
        let mut program = Program::start(namespace.command(&program).args(["--foreground", name]), folder, name);
        wait_for("wireguard-go to answer", PATIENCE, || {
            program.must_run();
            std::os::unix::net::UnixStream::connect(self.socket()).ok()
        });
        let conf = folder.join(format!("{name}.conf"));
        std::fs::write(&conf, &self.conf).expect("the run's folder is writable");
        for address in &self.addresses {
            namespace.ip(&format!("address add {address} dev {name}"));
        }
        namespace.ip(&format!("link set {name} up"));
        for route in &self.routes {
            namespace.ip(&format!("route add {route} dev {name}"));
        }
        run(tool("wg").args(["setconf", name]).arg(conf));
        self.program = Some(program);
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(SOCKETS).join(format!("{}.sock", self.interface))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.program = None;
        // wireguard-go removes it itself, except where it was killed.
        let _ = std::fs::remove_file(self.socket());
    }
}

/// Removes the control sockets of runs that were killed.
fn sweep_tunnels() {
    for file in std::fs::read_dir(SOCKETS).into_iter().flatten().filter_map(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(INTERFACE).and_then(|rest| rest.split_once('n')).map(|(pid, _)| pid);
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && is_gone(pid)) {
            // What another sweep removes at the same time is gone all the same.
            let _ = std::fs::remove_file(file.path());
        }
    }
}
