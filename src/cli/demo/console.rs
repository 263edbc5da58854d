use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::super::is_colour_wanted;
use super::super::run::signalled;
use super::world::{DOMAIN, SITES, World};
use crate::core::status::{Paint, text};

/// Shows the way around, and does what is typed, until `quit`, end of input or a signal.
pub(super) async fn run(mut world: World) -> anyhow::Result<()> {
    world.wait_for("first revision", |status| status.ready).await?;
    introduce(&world);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut is_open = true;
    let end = signalled();
    tokio::pin!(end);
    loop {
        let line = tokio::select! {
            () = &mut end => break,
            line = lines.next_line(), if is_open => line?,
        };
        let Some(line) = line else {
            // Started without a terminal: it runs until it is told to end.
            is_open = false;
            continue;
        };
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] => {}
            ["quit" | "exit"] => break,
            ["status"] => {
                let paint = if is_colour_wanted() { Paint::Colour } else { Paint::Plain };
                print!("{}", text(&world.status().await?, paint));
            }
            ["ask"] => match world.ask().await {
                Ok(name) => println!("{name}"),
                Err(error) => println!("failed: {error:#}"),
            },
            ["cut", site] if is_site(site) => world.cut(site).await?,
            ["heal", site] if is_site(site) => world.heal(site).await?,
            _ => println!("commands: ask, status, cut dijon|thory, heal dijon|thory, quit"),
        }
    }
    println!("ending");
    world.end().await
}

fn is_site(name: &str) -> bool {
    SITES.iter().any(|(site, _)| *site == name)
}

fn introduce(world: &World) {
    let work = world.work_tree();
    let (edge, api) = (world.edge, world.api);
    println!(
        "
Two sites, one public name. Each site has one backend; Caddy spreads requests over both.

  ask the public name     curl -H 'Host: {DOMAIN}' http://{edge}/
  see what bascule sees   bascule status --server http://{api}
                          curl http://{api}/v1/status
  change the inventory    cd {work}
                          edit inventory/backends/*.yaml, then git commit -am change && git push
  cut a site              type: cut dijon
  bring it back           type: heal dijon
  also                    ask, status, quit
",
        work = work.display()
    );
}
