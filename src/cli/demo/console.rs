use std::io::BufRead as _;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::is_colour_wanted;
use super::places::SITES;
use super::world::{DOMAIN, World};
use crate::core::status::{Paint, text};

/// Everything that can be typed.
const COMMANDS: &str = "ask, status, cut SITE, heal SITE, quit";

/// Shows the way around, and does what is typed, until `quit` or until it is told to stop. At the end of input it goes on:
/// then it was started without a terminal.
pub(super) async fn run(mut world: World, stop: CancellationToken) -> anyhow::Result<()> {
    introduce(&world)?;
    let mut lines = lines()?;
    loop {
        let line = tokio::select! {
            () = stop.cancelled() => break,
            Some(line) = lines.recv() => line,
            else => {
                stop.cancelled().await;
                break;
            }
        };
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] => {}
            ["quit" | "exit"] => break,
            ["help"] => println!("commands: {COMMANDS}"),
            ["status"] => {
                let paint = if is_colour_wanted() { Paint::Colour } else { Paint::Plain };
                print!("{}", text(&world.status().await?, paint));
            }
            ["ask"] => match world.ask().await {
                Ok(name) => println!("{name}"),
                Err(error) => println!("failed: {error:#}"),
            },
            ["cut", site] if is_site(site) => {
                world.cut(site).await?;
                println!("site {site} is cut: its backends are killed; see `status` and `ask`");
            }
            ["heal", site] if is_site(site) => {
                world.heal(site).await?;
                println!("site {site} is back: its backends run again; see `status` and `ask`");
            }
            ["cut" | "heal", ..] => println!("name a site: {}", SITES.map(|(site, _)| site).join(" or ")),
            [..] => println!("`{}` is no command; there are: {COMMANDS}", line.trim()),
        }
    }
    println!("ending");
    world.end().await
}

/// Lines that are typed, read by a thread that nobody waits for: a read of a terminal cannot be cut short.
fn lines() -> anyhow::Result<mpsc::Receiver<String>> {
    // One: who types waits for the answer.
    let (tx, rx) = mpsc::channel(1);
    let read = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tx.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("console".to_owned()).spawn(read).context("no thread can be started for input")?;
    Ok(rx)
}

fn is_site(name: &str) -> bool {
    SITES.iter().any(|(site, _)| *site == name)
}

/// This program as it can be typed from any folder.
fn program() -> anyhow::Result<String> {
    let path = std::env::current_exe().context("this program's own path is not known")?;
    let path = path.display().to_string();
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    Ok(if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) })
}

fn introduce(world: &World) -> anyhow::Result<()> {
    let (program, work) = (program()?, world.work_tree());
    let (edge, api) = (world.places.edge, world.places.api);
    println!(
        "
Two sites, one public name. Each site has one backend; Caddy spreads requests over both.

  ask the public name     curl -H 'Host: {DOMAIN}' http://{edge}/
  see what bascule sees   {program} status --server http://{api}
                          curl http://{api}/v1/status
  change the inventory    cd {work}
                          edit inventory/backends/*.yaml, then git commit -am change && git push
  cut a site              type: cut dijon
  bring it back           type: heal dijon
  also                    ask, status, quit
",
        work = work.display()
    );
    Ok(())
}
