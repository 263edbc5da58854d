use std::fmt;

/// What a document declares. The first folder of its path says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `sites/`
    Site,
    /// `services/`
    Service,
    /// `backends/`
    Backend,
    /// `edges/`
    Edge,
}

impl Kind {
    /// Every kind, in the order in which they refer to each other.
    pub const ALL: [Self; 4] = [Self::Site, Self::Service, Self::Backend, Self::Edge];

    /// The kind whose documents live in `folder`.
    pub fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }

    /// The folder that its documents live in.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Site => "sites",
            Self::Service => "services",
            Self::Backend => "backends",
            Self::Edge => "edges",
        }
    }

    /// The kind in lower case; also the name of its schema: `site.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Service => "service",
            Self::Backend => "backend",
            Self::Edge => "edge",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
