//! What no schema can say: rules between values, documents and files. One file a family.

mod availability;
mod backend;
mod domain;
mod edge;
mod service;
mod unique;

use super::document::Documents;
use crate::core::model::Diagnostic;

/// Everything that is wrong with documents that match their schemas.
pub(super) fn check(documents: &Documents) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    unique::check(documents, &mut faults);
    backend::check(documents, &mut faults);
    service::check(documents, &mut faults);
    domain::check(documents, &mut faults);
    edge::check(documents, &mut faults);
    availability::check(documents, &mut faults);
    faults
}
