//! The one integration binary: a module for each part, `support` for what several need.

mod docs;
mod e2e;
mod edge;
mod forge;
mod fuzzing;
mod git;
mod import;
mod inventory;
mod overrides;
mod pairs;
mod policies;
mod probe;
mod reconciler;
mod render;
mod review;
mod routing;
mod status;
mod store;
mod support;
mod tidy;
mod watcher;
mod webhooks;
