use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::Value;

use super::explain::{FLAWS_MAX, Flaw, child, shortened};
use crate::core::inventory::desired::SecretText;
use crate::core::inventory::doc::{Minimum, StatusRange, Sticky};
use crate::core::inventory::yaml::escape;
use crate::core::model::{
    AdminAddress, DialAddress, Email, GatewayAddress, Hostname, InterfaceName, Listener, PathPrefix, PeerKey,
    RequestPath, ServiceName, TimeSpan,
};

/// What a schema's pattern stands for. A pattern cannot say everything that its type asks for; the type decides.
pub(in crate::core::inventory) struct Text {
    pattern: &'static str,
    /// What is taken, in words.
    pub(in crate::core::inventory) expected: &'static str,
    /// The type's own judgement.
    pub(in crate::core::inventory) takes: fn(&str) -> bool,
}

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

macro_rules! texts {
    ($($type:ty),*) => {
        [$(Text { pattern: <$type>::PATTERN, expected: <$type>::EXPECTED, takes: is::<$type> },)*]
    };
}

/// Every newtype with a pattern. All names share one.
const NEWTYPES: [Text; 15] = texts![
    ServiceName,
    Hostname,
    PathPrefix,
    RequestPath,
    Listener,
    AdminAddress,
    DialAddress,
    Email,
    TimeSpan,
    StatusRange,
    Sticky,
    InterfaceName,
    PeerKey,
    GatewayAddress,
    Minimum
];

/// Text whose type comes from elsewhere; the patterns stand in the document types.
const OTHERS: [Text; 3] = [
    Text {
        pattern: "^([0-9.]+|[0-9a-fA-F:.]+)$",
        expected: "an IP address such as `10.200.1.23` or `fd00:200:1::23`",
        takes: is::<IpAddr>,
    },
    Text {
        pattern: "^[0-9a-fA-F.:]+/[0-9]{1,3}$",
        expected: "a network in CIDR form such as `10.200.1.0/24` or `fd00:200:1::/64`",
        takes: is::<IpNet>,
    },
    Text {
        pattern: r"^(/|https?://)[^\s{}#]*$",
        expected: "a path such as `/health` or a URL such as `http://10.200.1.23:8080/health`",
        takes: is_path_or_url,
    },
];

fn is_path_or_url(text: &str) -> bool {
    if text.starts_with('/') {
        return is::<RequestPath>(text);
    }
    // The URL standard mends capitals and missing slashes; here there is one way to write a URL.
    let has_scheme = text.starts_with("http://") || text.starts_with("https://");
    let good_characters = !text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '#'));
    has_scheme && good_characters && url::Url::parse(text).is_ok_and(|url| url.has_host())
}

/// What text at this point of a schema must be, in words.
pub(super) fn expected(schema: &Value) -> Option<&'static str> {
    text_of(schema).map(|text| text.expected)
}

fn text_of(schema: &Value) -> Option<&'static Text> {
    let pattern = schema.get("pattern")?.as_str()?;
    all().find(|text| text.pattern == pattern)
}

/// All of them.
pub(in crate::core::inventory) fn all() -> impl Iterator<Item = &'static Text> {
    static ALL: [&[Text]; 2] = [&NEWTYPES, &OTHERS];
    ALL.iter().copied().flatten()
}

#[cfg(test)]
impl Text {
    /// The pattern's judgement, as a schema gives it.
    pub(in crate::core::inventory) fn matches(&self, text: &str) -> bool {
        let schema = serde_json::json!({ "type": "string", "pattern": self.pattern });
        jsonschema::is_valid(&schema, &Value::from(text))
    }
}

/// Finds text in `value` that its type does not take, and all that Caddy would read as a placeholder.
pub(super) fn check(schema: &Value, value: &Value) -> Vec<Flaw> {
    let mut found = Vec::new();
    visit(schema, value, "", &mut found);
    found
}

fn visit(schema: &Value, value: &Value, pointer: &str, found: &mut Vec<Flaw>) {
    if found.len() >= FLAWS_MAX {
        return;
    }
    match value {
        Value::String(text) => found.extend(check_text(schema, text, pointer)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(schema.get("items").unwrap_or(&Value::Null), item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                visit(child(schema, key), entry, &format!("{pointer}/{}", escape(key)), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Text that may have braces: a description is shown to people and never rendered for Caddy; the braces of a page are
/// escaped when it is; a body that has them is judged by the prober alone.
const MAY_HAVE_BRACES: [&str; 5] = [
    "/description",
    "/routing/page/html",
    "/health/expect/body/contains",
    "/health/expect/body/matches",
    "/health/expect/body/equals",
];

/// True for the header of a probe. One with the name of a secret is sent by the prober alone.
fn may_have_secrets(pointer: &str) -> bool {
    pointer.strip_prefix("/health/").is_some_and(|rest| rest.split('/').rev().nth(1) == Some("headers"))
}

fn check_text(schema: &Value, text: &str, pointer: &str) -> Option<Flaw> {
    let may_have_braces =
        MAY_HAVE_BRACES.contains(&pointer) || may_have_secrets(pointer) && SecretText::has_names(text);
    if !may_have_braces && has_placeholder(text) {
        let message = format!("`{}` has a Caddy placeholder", shortened(text));
        let hint = if SecretText::has_names(text) {
            "a secret can be named in `headers` of `health` alone"
        } else {
            "write the value itself: placeholders in braces would let an inventory read the edge's environment and files"
        };
        return Some(Flaw::value("caddy-placeholder", pointer, message).hint(hint));
    }
    let rule = text_of(schema).filter(|rule| !(rule.takes)(text))?;
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    let flaw = Flaw::value("bad-value", pointer, format!("`{}` is not {}", shortened(text), rule.expected));
    Some(match (near(rule, text), example.and_then(Value::as_str)) {
        (Some(better), _) => flaw.hint(format!("did you mean `{better}`?")),
        (None, Some(example)) => flaw.hint(format!("write it like `{example}`")),
        (None, None) => flaw,
    })
}

/// What a few common slips were meant to be: blanks, capitals, a unit, a slash or a colon that is missing, a whole URL.
fn near(rule: &Text, text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    if rule.pattern == ServiceName::PATTERN {
        return Some(lower.replace(['_', ' ', '.'], "-")).filter(|name| (rule.takes)(name));
    }
    let squeezed: String = lower.split_whitespace().collect();
    let repaired = match rule.pattern {
        TimeSpan::PATTERN => format!("{squeezed}s"),
        Listener::PATTERN => format!(":{squeezed}"),
        PathPrefix::PATTERN | RequestPath::PATTERN => format!("/{squeezed}"),
        Hostname::PATTERN => {
            let rest = squeezed.split_once("://").map_or(squeezed.as_str(), |(_, rest)| rest);
            rest.split(['/', ':']).next().unwrap_or(rest).trim_end_matches('.').to_owned()
        }
        _ => squeezed.clone(),
    };
    [squeezed, repaired].into_iter().find(|candidate| (rule.takes)(candidate))
}

/// True for text in which Caddy would replace something: an opening brace with a closing one after it.
fn has_placeholder(text: &str) -> bool {
    text.split_once('{').is_some_and(|(_, rest)| rest.contains('}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::inventory::{Kind, schema::Compiled};

    #[test]
    fn every_pattern_of_the_schemas_has_its_type() {
        fn patterns(schema: &Value, count: &mut usize) {
            if schema.get("pattern").is_some_and(Value::is_string) {
                assert!(text_of(schema).is_some(), "no type is known for {schema}");
                *count += 1;
            }
            match schema {
                Value::Object(entries) => entries.values().for_each(|entry| patterns(entry, count)),
                Value::Array(items) => items.iter().for_each(|item| patterns(item, count)),
                _ => {}
            }
        }
        let mut count = 0;
        for kind in Kind::ALL {
            patterns(&Compiled::of(kind).json, &mut count);
        }
        assert!(count >= 20, "only {count} patterns seen");
    }

    #[test]
    fn braces_are_placeholders() {
        for (text, expected) in
            [("{env.HOME}", true), ("a{file./etc/passwd}b", true), ("{", false), ("}{", false), ("a", false)]
        {
            assert_eq!(has_placeholder(text), expected, "{text:?}");
        }
    }
}
