//! The one way in for every string that people write: a newtype with a pattern.

use thiserror::Error;

/// Why a string is not a value of some newtype.
///
/// The message is a whole sentence without a final stop, so that it can stand as a diagnostic's message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct TextError {
    /// What was written.
    pub text: String,
    /// What the type takes, with its article and an example.
    pub expected: &'static str,
}

/// Makes a string newtype whose `FromStr`, serde and JSON schema agree.
///
/// The type must have an associated `fn parse(text: &str) -> Option<Self>` and implement `Display`, which prints the
/// canonical form; parsing what `Display` printed gives the same value.
macro_rules! text_type {
    ($type:ty, name: $name:expr, expected: $expected:literal, pattern: $pattern:literal, examples: $examples:expr) => {
        impl $type {
            /// The pattern (ECMA 262) that the JSON schema carries. Whatever `FromStr` takes matches it.
            pub const PATTERN: &'static str = $pattern;
            /// What the type takes, in words.
            pub const EXPECTED: &'static str = $expected;
        }

        impl std::str::FromStr for $type {
            type Err = $crate::core::model::TextError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text).ok_or_else(|| $crate::core::model::TextError {
                    text: text.to_owned(),
                    expected: Self::EXPECTED,
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::core::model::TextError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": Self::PATTERN,
                    "examples": $examples,
                })
            }
        }
    };
}

pub(crate) use text_type;
