//! SARIF 2.1.0, which GitHub code scanning, editors and other tools read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::forge::{end_of, fingerprints, path_of};
use crate::core::inventory::codes::{meaning, page, page_url};
use crate::core::model::{Diagnostic, FileSet, Place, Severity};

/// Stands for the repository's root; who reads the file knows where that is (SARIF 2.1.0, section 3.14.14).
const ROOT: &str = "%SRCROOT%";

/// Diagnostics as a SARIF 2.1.0 log with one run.
///
/// `prefix` is the inventory's folder as seen from the repository's root, such as `inventory/`.
#[expect(clippy::missing_panics_doc, reason = "text and numbers always serialize")]
pub fn sarif(diagnostics: &[Diagnostic], files: &FileSet, prefix: &str) -> String {
    // In the order of their codes, so that results can name them by number.
    let codes: Vec<&str> = diagnostics.iter().map(|it| it.code).collect::<BTreeSet<_>>().into_iter().collect();
    let fingerprints = fingerprints(diagnostics, prefix);
    let context = Context { files, prefix, codes: &codes };
    let results: Vec<Value> =
        diagnostics.iter().zip(&fingerprints).map(|(diagnostic, print)| context.result(diagnostic, print)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bascule",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            // Several inventories of one repository give several logs, which must not replace each other.
            "automationDetails": { "id": format!("bascule/check/{}", uri(prefix)) },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).expect("a log is text and numbers");
    text.push('\n');
    text
}

fn rule(code: &str) -> Value {
    let meaning = meaning(code).unwrap_or(code);
    let help = page(code).unwrap_or(meaning);
    json!({
        "id": code,
        "shortDescription": { "text": meaning },
        "fullDescription": { "text": meaning },
        "help": { "text": help, "markdown": help },
        "helpUri": page_url(code),
    })
}

struct Context<'a> {
    files: &'a FileSet,
    prefix: &'a str,
    codes: &'a [&'a str],
}

impl Context<'_> {
    fn result(&self, diagnostic: &Diagnostic, fingerprint: &str) -> Value {
        let Diagnostic { code, severity, file, place, message, hint, related } = diagnostic;
        let mut text = message.clone();
        if let Some(hint) = hint {
            // Writing to a String cannot fail.
            let _ = write!(text, "\nhelp: {hint}");
        }
        let mut result = json!({
            "ruleId": code,
            "ruleIndex": self.codes.binary_search(code).unwrap_or_default(),
            "level": match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": { "text": text },
            "locations": [{ "physicalLocation": self.physical(&path_of(diagnostic, self.prefix), file, *place) }],
            "partialFingerprints": { "basculeFault/v1": fingerprint },
        });
        if !related.is_empty() {
            let others = (0..).zip(related).map(|(id, it): (usize, _)| {
                let path = format!("{}{}", self.prefix, it.file);
                json!({
                    "id": id,
                    "physicalLocation": self.physical(&path, &it.file, Some(it.place)),
                    "message": { "text": it.message },
                })
            });
            result["relatedLocations"] = others.collect();
        }
        result
    }

    fn physical(&self, path: &str, file: &str, place: Option<Place>) -> Value {
        let mut location = Map::new();
        location.insert("artifactLocation".to_owned(), json!({ "uri": uri(path), "uriBaseId": ROOT }));
        if let Some(place) = place {
            let mut region = json!({ "startLine": place.line, "startColumn": place.column });
            if let Some((line, column)) = end_of(place, file, self.files) {
                region["endLine"] = line.into();
                region["endColumn"] = column.into();
            }
            location.insert("region".to_owned(), region);
        }
        Value::Object(location)
    }
}

/// A path as a relative reference: everything but plain characters is percent-encoded (RFC 3986, section 2.1).
fn uri(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
