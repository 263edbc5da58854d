//! Whose fault it is.

use std::collections::{BTreeMap, BTreeSet};

use super::pieces::{Piece, Pieces};
use crate::core::model::{Diagnostic, Severity};

/// The services that errors are of, each with the first of them; the first error that is not a service's, where there is one.
///
/// An error that is of one document is its service's. One that is between services is of those that brought it in: what
/// claims a name or an address that it did not have. A service that is as it was served last is never to blame: what
/// changed around it is.
pub(super) fn blame<'d>(
    diagnostics: &'d [Diagnostic],
    now: &Pieces,
    last: &Pieces,
) -> Result<BTreeMap<String, Diagnostic>, &'d Diagnostic> {
    let mut blamed: BTreeMap<String, Diagnostic> = BTreeMap::new();
    for diagnostic in diagnostics.iter().filter(|it| it.severity == Severity::Error) {
        let guilty = guilty(diagnostic, now, last);
        if guilty.is_empty() {
            return Err(diagnostic);
        }
        for service in guilty {
            blamed.entry(service).or_insert_with_key(|service| told_of(service, diagnostic, now, last));
        }
    }
    Ok(blamed)
}

/// Whose the place is that an error is told at.
pub(super) fn owners(error: &Diagnostic, now: &Pieces, last: &Pieces) -> BTreeSet<String> {
    let pieces = now.at(&error.file, error.place.map(|place| place.line));
    pieces.flat_map(|piece| now.owners(piece, last)).collect()
}

/// Whom one error is of; nobody where it is not a service's.
fn guilty(diagnostic: &Diagnostic, now: &Pieces, last: &Pieces) -> BTreeSet<String> {
    // What else is wrong with that file is not even said; nobody looks through thousands of its documents for owners.
    if diagnostic.code == "too-many-faults" {
        return BTreeSet::new();
    }
    let pieces: Vec<&Piece> = now.at(&diagnostic.file, diagnostic.place.map(|place| place.line)).collect();
    let mut owners = BTreeSet::new();
    for piece in &pieces {
        let of_piece = now.owners(piece, last);
        if of_piece.is_empty() && piece.is_cut() {
            return BTreeSet::new(); // It may be anybody's.
        }
        owners.extend(of_piece);
    }
    let related = diagnostic.related.iter().flat_map(|it| now.at(&it.file, Some(it.place.line)));
    let others: BTreeSet<String> =
        related.flat_map(|piece| now.owners(piece, last)).filter(|it| !owners.contains(it)).collect();
    let is_changed = |service: &String| !now.same(last, service) || pieces.iter().any(|piece| piece.is_flawed());
    if others.is_empty() {
        // A backend that says another service than it had, and is at fault, is missed by the one that had it.
        owners.extend(pieces.iter().flat_map(|piece| last.robbed(piece)));
        owners.retain(is_changed);
        return owners;
    }
    let of_all =
        |services: &BTreeSet<String>| -> BTreeSet<String> { services.iter().flat_map(|it| now.claims(it)).collect() };
    let shared: BTreeSet<String> = of_all(&owners).intersection(&of_all(&others)).cloned().collect();
    let all = || owners.iter().chain(&others).filter(|it| is_changed(it)).cloned();
    let bringers: BTreeSet<String> = all().filter(|it| !shared.is_subset(&last.claims(it))).collect();
    if bringers.is_empty() { all().collect() } else { bringers }
}

/// The error as it is of this service: at its own place, where the error is told at another's.
fn told_of(service: &String, diagnostic: &Diagnostic, now: &Pieces, last: &Pieces) -> Diagnostic {
    let is_its =
        |file: &str, line: Option<usize>| now.at(file, line).any(|piece| now.owners(piece, last).contains(service));
    if is_its(&diagnostic.file, diagnostic.place.map(|place| place.line)) {
        return diagnostic.clone();
    }
    let Some(own) = diagnostic.related.iter().find(|it| is_its(&it.file, Some(it.place.line))) else {
        return diagnostic.clone();
    };
    Diagnostic { file: own.file.clone(), place: Some(own.place), related: Vec::new(), ..diagnostic.clone() }
}
