use std::fmt::Write as _;
use std::path::Path;

use crate::process::{Program, find};
use crate::world::{EDGE, World};

/// The free nginx has no active checks: a server that failed once is left out for ten seconds (its defaults). POST is sent
/// again only where it was not sent yet (its default).
const CONFIG: &str = "\
error_log stderr warn;
pid nginx.pid;
worker_processes auto;
events { worker_connections 4096; }
http {
  access_log off;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream www {
    keepalive 32;
SERVERS  }
  server {
    listen EDGE;
    client_max_body_size 10m;
    keepalive_requests 100000;
    location / {
      proxy_pass http://www;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
      proxy_connect_timeout 250ms;
      proxy_read_timeout 750ms;
      proxy_send_timeout 750ms;
      proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
    }
  }
}
";

pub(crate) fn start(world: &World, folder: &Path) -> Program {
    let mut servers = String::new();
    for backend in world.backends() {
        writeln!(servers, "    server {} max_fails=1 fail_timeout=10s;", backend.address).expect("a text grows");
    }
    let path = folder.join("nginx.conf");
    let config = CONFIG.replace("EDGE", &EDGE.to_string()).replace("SERVERS", &servers);
    std::fs::write(&path, config).expect("the run's folder is writable");
    // Its workers are another user and write bodies to the machine's folder for that; they read nothing here.
    let mut command = world.hub.command(&find("nginx").expect("it was looked for"));
    command.args(["-e", "stderr", "-g", "daemon off;", "-p"]).arg(folder).arg("-c").arg(path);
    Program::start(&mut command, folder, "nginx")
}
