use serde::{Deserialize, Serialize};

use super::dto::EventDto;
use super::site::event_dto;
use super::{FaultDto, StatusDto};
use crate::core::health::Event;
use crate::core::model::Timestamp;

/// Whether a forge is told how commits stand (`bascule run --forge`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgeDto {
    /// Which one: `GitHub`, `GitLab` or `Gitea`.
    pub forge: String,
    /// The repository there.
    pub repository: String,
    /// `in_sync` where it has been told everything, `waiting` while something is to be told, `failing` while it cannot be.
    pub state: String,
    /// Statuses that are to be told.
    pub waiting: usize,
    /// Statuses that were told since bascule started.
    pub posted: u64,
    /// When the last of these was; none before the first.
    #[serde(default)]
    pub posted_at: Option<Timestamp>,
}

/// How a forge stands, as its announcer reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgeReport {
    /// Which one, as its makers write it.
    pub forge: String,
    /// The repository there.
    pub repository: String,
    /// Statuses that are to be told.
    pub waiting: usize,
    /// Statuses that were told.
    pub posted: u64,
    /// When the last of these was.
    pub posted_at: Option<Timestamp>,
    /// Why something cannot be told, and since when.
    pub fault: Option<(String, Timestamp)>,
    /// What happened since bascule started, newest first: as many as are shown.
    pub events: Vec<Event>,
}

impl StatusDto {
    /// Shows how a forge stands too. What is wrong with it comes last: it takes nothing from anybody's traffic.
    #[must_use]
    pub fn with_forge(mut self, report: Option<&ForgeReport>) -> Self {
        let Some(report) = report else { return self };
        let ForgeReport { forge, repository, waiting, posted, posted_at, fault, events } = report;
        if let Some((message, since)) = fault {
            self.faults.push(FaultDto {
                scope: "forge".to_owned(),
                message: format!("statuses of commits are not posted: {message}; routing goes on"),
                since: *since,
                age_seconds: self.at.since(*since).as_secs(),
                details: Vec::new(),
            });
        }
        let own: Vec<EventDto> = events.iter().map(|event| event_dto(event, self.at)).collect();
        let is_own = |event: &EventDto| own.contains(event);
        self.events.retain(|event| !is_own(event));
        self.events.extend(own);
        // Stable, and newest first as before.
        self.events.sort_by_key(|event| std::cmp::Reverse(event.at));
        let state = match (fault, waiting) {
            (Some(_), _) => "failing",
            (None, 0) => "in_sync",
            (None, _) => "waiting",
        };
        let (forge, repository, state) = (forge.clone(), repository.clone(), state.to_owned());
        self.forge =
            Some(ForgeDto { forge, repository, state, waiting: *waiting, posted: *posted, posted_at: *posted_at });
        self
    }
}
