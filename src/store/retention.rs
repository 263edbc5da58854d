//! What is forgotten, and when. The file stays small enough to copy in a moment; git has the whole history.

use rusqlite::Connection;

/// Revisions kept, beside the last good one: months of a busy repository.
const REVISIONS: u32 = 500;
/// Rendered configurations kept for each edge, beside the last one it was known to run.
const RENDERS: u32 = 50;
/// Passes kept for each edge.
const APPLIES: u32 = 10_000;
/// Changes of verdicts kept, of all backends together.
const TRANSITIONS: u32 = 100_000;

pub(super) fn revisions(db: &Connection) -> rusqlite::Result<()> {
    let forgotten = db
        .prepare_cached(
            "DELETE FROM revisions
             WHERE seq <= (SELECT max(seq) FROM revisions) - ?1
               AND seq <> (SELECT max(seq) FROM revisions WHERE accepted)",
        )?
        .execute([REVISIONS])?;
    if forgotten > 0 { blobs(db) } else { Ok(()) }
}

pub(super) fn renders(db: &Connection, edge: &str) -> rusqlite::Result<()> {
    let forgotten = db
        .prepare_cached(
            "DELETE FROM renders
             WHERE edge = ?1
               AND seq <= (SELECT seq FROM renders WHERE edge = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
               AND digest <> (SELECT digest FROM applies
                              WHERE edge = ?1 AND outcome IN ('applied', 'unchanged') ORDER BY seq DESC LIMIT 1)",
        )?
        .execute((edge, RENDERS))?;
    if forgotten > 0 { blobs(db) } else { Ok(()) }
}

/// The newest pass that succeeded is kept however old it is: it says what the edge runs.
pub(super) fn applies(db: &Connection, edge: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM applies
         WHERE edge = ?1
           AND seq <= (SELECT seq FROM applies WHERE edge = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
           AND seq <> (SELECT max(seq) FROM applies WHERE edge = ?1 AND outcome IN ('applied', 'unchanged'))",
    )?
    .execute((edge, APPLIES))?;
    Ok(())
}

pub(super) fn transitions(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM transitions WHERE seq <= (SELECT max(seq) FROM transitions) - ?1")?
        .execute([TRANSITIONS])?;
    Ok(())
}

fn blobs(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM blobs
         WHERE NOT EXISTS (SELECT 1 FROM revision_files AS file WHERE file.digest = blobs.digest)
           AND NOT EXISTS (SELECT 1 FROM renders WHERE renders.digest = blobs.digest)",
    )?
    .execute([])?;
    Ok(())
}
