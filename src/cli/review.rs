//! `bascule review`: what a proposal does, for the page where it is reviewed.

mod job;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};

use self::job::Job;
use super::forge::{ForgeArgs, TOKEN};
use super::inputs::{self, Inventory, has_no_inventory};
use super::{EXIT_INVALID, EXIT_NOT_POSTED, EXIT_REQUIRED, print};
use crate::core::inventory::Desired;
use crate::core::model::Revision;
use crate::core::review::{Comment, Proposal, comment};
use crate::forge::{CommitState, CommitStatus, Forge, ForgeError, ForgeSettings, Placed};

/// The status that a review sets, and the folder for which it needs no name of its own.
const CONTEXT: &str = "bascule/plan";
const FOLDER: &str = "inventory";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The inventory, or a folder that has one in `inventory`.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// What it is compared with: a revision of the repository that it is in, or another folder. Without it, the branch that
    /// the pull request goes to, as the environment of the CI names it.
    #[arg(long, env = "BASCULE_AGAINST", value_name = "REVISION|DIR", value_parser = NonEmptyStringValueParser::new())]
    against: Option<String>,
    /// Exit 4, and set the status to failed, when the loss of one site or one backend would take a service down that is
    /// declared `critical: true`, or when such a service is removed: that takes a change before which takes the mark off it.
    #[arg(long, env = "BASCULE_REQUIRE", value_parser = BoolishValueParser::new())]
    require: bool,
    /// Whether the pull request gets the review, as one comment that is kept up, and its newest commit the status
    /// `bascule/plan`. `auto`: where the environment of the CI (GitHub, GitLab, Gitea, Forgejo) names a pull request and there
    /// is a token; that it cannot be posted is then said and no failure. `on` (or `--post` alone): it is one,
    /// and where the forge does not answer or refuses, the exit code is 7 unless the review itself gives 3 or 4.
    #[arg(
        long,
        env = "BASCULE_POST",
        value_enum,
        default_value = "auto",
        value_name = "auto|on|off",
        num_args = 0..=1,
        default_missing_value = "on",
        require_equals = true
    )]
    post: PostArg,
    /// The number of the pull request. Without it, the environment of the CI names it.
    #[arg(long, env = "BASCULE_PULL_REQUEST", value_name = "NUMBER")]
    pull_request: Option<u64>,
    /// The newest commit of the pull request. Without it, the environment of the CI names it.
    #[arg(long, env = "BASCULE_COMMIT", value_name = "SHA", value_parser = NonEmptyStringValueParser::new())]
    commit: Option<String>,
    #[command(flatten)]
    forge: ForgeArgs,
}

/// Whether a review is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PostArg {
    /// Where that is possible.
    Auto,
    /// It must be.
    On,
    /// It is not.
    Off,
}

/// Where a review is posted.
struct Place {
    settings: ForgeSettings,
    pull: u64,
    commit: Option<String>,
    is_fork: bool,
}

pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Args { path, against, require, post, pull_request, commit, forge } = args;
    let job = Job::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()), &|path| {
        std::fs::read_to_string(path).ok()
    });
    let base = job.as_ref().and_then(|job| job.base.clone());
    let against = against.or(base).context(
        "nothing says what it is compared with: name a revision or a folder with `--against`, such as `--against origin/main`",
    )?;
    // What cannot be posted is said before a long inventory is read.
    let place = if post == PostArg::Off { None } else { place(&forge, job.as_ref(), pull_request, commit)? };
    if place.is_none() && post == PostArg::On {
        bail!(
            "`--post` takes a forge, a token and a pull request, and the environment names not all of them: give `--forge`, \
             `--forge-token-file` (or `{TOKEN}`), `--pull-request` and `--commit`"
        );
    }
    let inventory = inputs::read(&path).await?;
    let before = before(&path, &against).await?;
    let Inventory { prefix_in_repository: folder, files, desired, diagnostics, prefix: _ } = &inventory;
    let proposal = Proposal {
        folder,
        against: &against,
        files: files.len(),
        diagnostics,
        before: before.as_ref(),
        after: desired.as_ref(),
        is_required: require,
    };
    let told = comment(&proposal);
    print(&told.markdown)?;
    if let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|summary| !summary.is_empty()) {
        summarize(Path::new(&summary), &told.markdown)?;
    }
    for line in &told.failed {
        eprintln!("required: {line}");
    }
    let mut is_missing = false;
    match place {
        None => eprintln!("not posted: {}", why_not(post, job.as_ref())),
        Some(place) => match post_it(&place, &told, folder).await {
            Ok(said) => eprintln!("{said}"),
            Err(error) => {
                is_missing = post == PostArg::On;
                eprintln!("{}not posted: {}", if is_missing { "error: " } else { "" }, in_words(&error, &place));
            }
        },
    }
    Ok(match (desired, told.is_good) {
        (None, _) => ExitCode::from(EXIT_INVALID),
        (Some(_), false) => ExitCode::from(EXIT_REQUIRED),
        (Some(_), true) if is_missing => ExitCode::from(EXIT_NOT_POSTED),
        (Some(_), true) => ExitCode::SUCCESS,
    })
}

/// What was declared: nothing where there was no inventory yet, and none where it has errors.
async fn before(path: &Path, against: &str) -> anyhow::Result<Option<Desired>> {
    let before = if Path::new(against).is_dir() {
        inputs::read(Path::new(against)).await
    } else {
        inputs::read_revision(path, against).await
    };
    match before {
        Ok(before) => Ok(before.desired),
        Err(error) if has_no_inventory(&error) => {
            eprintln!("{error}: everything counts as new");
            Ok(Some(Desired::empty(Revision::new(against))))
        }
        Err(error) => Err(error),
    }
}

fn place(
    forge: &ForgeArgs,
    job: Option<&Job>,
    pull: Option<u64>,
    commit: Option<String>,
) -> anyhow::Result<Option<Place>> {
    let Some(pull) = pull.or(job.and_then(|job| job.pull)) else { return Ok(None) };
    let Some(settings) = forge.of_job(job.map(|job| &job.told))? else { return Ok(None) };
    let commit = commit.or(job.and_then(|job| job.head.clone()));
    Ok(Some(Place { settings, pull, commit, is_fork: job.is_some_and(|job| job.is_fork) }))
}

fn why_not(post: PostArg, job: Option<&Job>) -> String {
    match job {
        _ if post == PostArg::Off => "`--post=off`".to_owned(),
        None => {
            "this is no job of GitHub, GitLab, Gitea or Forgejo that is known, and no pull request is named".to_owned()
        }
        Some(Job { pull: None, .. }) => "this job is of no pull request".to_owned(),
        Some(Job { is_fork: true, .. }) => "this job has no token, as those of forks do not".to_owned(),
        Some(Job { told, .. }) => {
            format!("there is no token for {}: give the job one in `{TOKEN}`", told.kind)
        }
    }
}

fn in_words(error: &ForgeError, place: &Place) -> String {
    let error = crate::controller::chain(error);
    if place.is_fork { format!("{error} (the tokens of forks may only read, which is as it should be)") } else { error }
}

/// The comment, and then the status: who follows its sign finds the reason.
async fn post_it(place: &Place, told: &Comment, folder: &str) -> Result<String, ForgeError> {
    let Place { settings, pull, commit, is_fork: _ } = place;
    let forge = Forge::new(settings.clone())?;
    let placed = forge.place_comment(*pull, &told.marker, &told.markdown).await;
    // A token may have one of the permissions and not the other.
    if let Some(commit) = commit {
        let folder = folder.trim_end_matches('/');
        let context =
            if folder.is_empty() || folder == FOLDER { CONTEXT.to_owned() } else { format!("{CONTEXT} ({folder})") };
        let state = if told.is_good { CommitState::Success } else { CommitState::Failure };
        forge.set_status(&CommitStatus::new(Revision::new(commit), context, state, &told.words)).await?;
    }
    let done = match placed? {
        Placed::Posted => "posted on",
        Placed::Updated => "updated on",
        Placed::Unchanged => "as it was on",
    };
    let of = format!("{done} pull request {pull} of {}", settings.repository);
    Ok(if commit.is_some() { of } else { format!("{of}; no commit is named that could get a status") })
}

/// The page of a job, which has other steps too.
fn summarize(path: &Path, markdown: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(markdown.as_bytes()))
        .with_context(|| format!("cannot write the summary of the step to `{}`", path.display()))
}
