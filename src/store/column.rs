//! How the core's types stand in columns: names as they are written, moments in milliseconds, lists as JSON.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::health::{Subject, Verdict};
use crate::core::inventory::{BackendState, Origin};
use crate::core::model::{BackendName, Digest, EdgeName, Generation, Revision, ServiceName, SiteName, Timestamp};
use crate::core::routing::{Action, Target};
use crate::core::steering::Act;

macro_rules! text_columns {
    ($($type:ty),+ $(,)?) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )+};
}

text_columns!(Act, Action, BackendName, EdgeName, ServiceName, SiteName);

impl ToSql for Revision {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Revision {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::from_stored)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.unix_millis().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_unix_millis)
    }
}

impl ToSql for Generation {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // SQLite's integers are signed; all 64 bits come back as they were.
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Generation {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(number.cast_unsigned()))
    }
}

/// Looks up the value that is written so. The texts are those of the API; changing one needs a migration.
fn among<T: Copy>(value: ValueRef<'_>, all: &[(T, &'static str)]) -> FromSqlResult<T> {
    let text = value.as_str()?;
    let known = all.iter().find(|(_, name)| *name == text);
    known.map(|(value, _)| *value).ok_or_else(|| FromSqlError::Other(format!("`{text}` is not known").into()))
}

impl ToSql for Verdict {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Verdict {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        among(value, &[Self::Unknown, Self::Up, Self::Down].map(|verdict| (verdict, verdict.as_str())))
    }
}

impl ToSql for Target {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Target {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl ToSql for Subject {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Subject {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

const fn state_text(state: BackendState) -> &'static str {
    match state {
        BackendState::Active => "active",
        BackendState::Drain => "drain",
        BackendState::Disabled => "disabled",
    }
}

impl ToSql for BackendState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(state_text(*self).into())
    }
}

impl FromSql for BackendState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        among(value, &[Self::Active, Self::Drain, Self::Disabled].map(|state| (state, state_text(state))))
    }
}

const fn origin_text(origin: Origin) -> &'static str {
    match origin {
        Origin::Declared => "declared",
    }
}

impl ToSql for Origin {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(origin_text(*self).into())
    }
}

impl FromSql for Origin {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        among(value, &[Self::Declared].map(|origin| (origin, origin_text(origin))))
    }
}

/// A value as JSON, for what is read as a whole or not at all.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0);
        text.map(Into::into).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}
