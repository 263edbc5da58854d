use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::distrust::{Bound, Distrust, Listed, Why};
use super::key::PublicKey;
use super::pattern::list_matches;
use super::signature::SshSignature;
use super::validity::{Validity, moment};
use crate::core::model::{Timestamp, quoted};

/// What signatures of commits are made for.
const NAMESPACE: &str = "git";

/// The keys that are trusted: a file in the format of ssh-keygen(1), ALLOWED SIGNERS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    file: String,
    signers: Vec<Signer>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    line: usize,
    principals: String,
    options: Options,
    key: PublicKey,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    namespaces: Option<String>,
    validity: Validity,
}

/// A line of a file of keys that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map_or_else(String::new, |line| format!(":{line}")))]
pub struct Malformed {
    /// The file.
    pub file: String,
    /// The line, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl AllowedSigners {
    /// Reads the text of a file; `file` is its name for people. All lines must be good: a line that is passed over would be
    /// a key that its owner believes to be listed.
    pub fn parse(file: &str, text: &str) -> Result<Self, Malformed> {
        let mut signers = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let signer = signer(line, text);
            signers.push(signer.map_err(|reason| Malformed { file: file.to_owned(), line: Some(line), reason })?);
        }
        if signers.is_empty() {
            let reason = "there is no key, so that nothing could be served: add a line `PRINCIPAL KEY`".to_owned();
            return Err(Malformed { file: file.to_owned(), line: Some(1), reason });
        }
        Ok(Self { file: file.to_owned(), signers })
    }

    /// Whether somebody who is listed vouches for a commit with this signature, and may do so at all of `times`.
    ///
    /// `holds` says whether a signature is one of the commit by the key that it names.
    pub fn judge(
        &self,
        signature: Option<&[u8]>,
        times: &[Timestamp],
        holds: impl FnOnce(&SshSignature) -> bool,
    ) -> Result<(), Distrust> {
        self.look(signature, times, holds).map_err(|why| self.distrust(why))
    }

    /// The file, for people.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    fn distrust(&self, why: Why) -> Distrust {
        Distrust { file: self.file.clone(), why }
    }

    fn look(
        &self,
        signature: Option<&[u8]>,
        times: &[Timestamp],
        holds: impl FnOnce(&SshSignature) -> bool,
    ) -> Result<(), Why> {
        let signature = SshSignature::read(signature.ok_or(Why::Unsigned)?)?;
        let key = signature.key();
        if !holds(&signature) {
            return Err(Why::Broken(key.shown()));
        }
        if signature.namespace() != NAMESPACE {
            return Err(Why::Namespace(signature.namespace().to_owned()));
        }
        let mut why = Why::NotListed(key.shown());
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            let Some(bound) = signer.options.bound(times) else { return Ok(()) };
            let Signer { line, principals, .. } = signer;
            why = Why::Listed(key.shown(), Listed { line: *line, principals: principals.clone(), bound });
        }
        Err(why)
    }
}

impl Options {
    /// What keeps a key from counting.
    fn bound(&self, times: &[Timestamp]) -> Option<Bound> {
        let Self { namespaces, validity } = self;
        if let Some(namespaces) = namespaces.as_ref().filter(|namespaces| !list_matches(namespaces, NAMESPACE)) {
            return Some(Bound::Namespaces(namespaces.clone()));
        }
        let is_late = times.iter().any(|at| validity.is_late(*at));
        let is_early = times.iter().any(|at| validity.is_early(*at));
        let late = validity.before.filter(|_| is_late).map(Bound::Before);
        late.or(validity.after.filter(|_| is_early).map(Bound::After))
    }
}

/// `PRINCIPALS [OPTIONS] TYPE KEY [COMMENT]`
fn signer(line: usize, text: &str) -> Result<Signer, String> {
    let (principals, rest) = word(text)?;
    let principals = principals.trim_matches('"').to_owned();
    if principals.is_empty() {
        return Err("whose key it is stands first, such as `anna@example.org`".to_owned());
    }
    let (first, after) = word(rest)?;
    let (options, (name, rest)) =
        if is_key_type(first) { (Options::default(), (first, after)) } else { (options(first)?, word(after)?) };
    let (encoded, _comment) = word(rest)?;
    if name.is_empty() || encoded.is_empty() {
        return Err(
            "it has no key: after whose key it is and the options, the key stands as in a `.pub` file".to_owned()
        );
    }
    let damaged = "the key is damaged: copy it whole from its `.pub` file";
    let blob = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).map_err(|_| damaged)?;
    let key = PublicKey::from_blob(&blob).map_err(|reason| reason.to_string())?;
    if key.name() != name {
        return Err(format!("it says {}, and the key is one of `{}`", quoted(name), key.name()));
    }
    Ok(Signer { line, principals, options, key })
}

/// Options have none of these in front.
fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// The first word, in which what stands in quotes may have spaces, and the rest.
fn word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.find(|letter: char| {
        is_quoted ^= letter == '"';
        letter.is_ascii_whitespace() && !is_quoted
    });
    match end {
        Some(end) => Ok(text.split_at(end)),
        None if is_quoted => Err("a quote is opened and not closed".to_owned()),
        None => Ok((text, "")),
    }
}

fn options(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = text;
    while !rest.is_empty() {
        let name_end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        let (value, after) = match after.strip_prefix('=') {
            Some(after) => value(name, after)?,
            None => ("", after),
        };
        take(&mut options, name, value)?;
        rest = match after.strip_prefix(',') {
            Some("") => return Err("a comma ends the options, and no option follows".to_owned()),
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return Err(format!("between two options stands a comma, and not {}", quoted(after))),
        };
    }
    let Validity { after, before } = options.validity;
    if after.zip(before).is_some_and(|(after, before)| before <= after) {
        return Err("`valid-before` is not after `valid-after`, so that the key never counts".to_owned());
    }
    Ok(options)
}

/// The value in quotes after `NAME=`, and what follows it.
fn value<'a>(name: &str, text: &'a str) -> Result<(&'a str, &'a str), String> {
    let inner = text.strip_prefix('"').and_then(|inner| inner.split_once('"'));
    inner.ok_or_else(|| format!("the value of `{name}` stands in quotes: `{name}=\"…\"`"))
}

fn take(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    let time = || {
        let read = moment(value);
        read.ok_or_else(|| format!("{} is no moment: write `YYYYMMDDZ` or `YYYYMMDDHHMMSSZ`", quoted(value)))
    };
    let Options { namespaces, validity } = options;
    let is_second = match name.to_ascii_lowercase().as_str() {
        "cert-authority" => {
            let cure = "list the keys themselves, each on a line without `cert-authority`";
            return Err(format!("certificates are not supported: {cure}"));
        }
        "namespaces" if value.is_empty() => return Err("`namespaces` names none".to_owned()),
        "namespaces" => namespaces.replace(value.to_owned()).is_some(),
        "valid-after" => validity.after.replace(time()?).is_some(),
        "valid-before" => validity.before.replace(time()?).is_some(),
        _ => {
            let known = "`namespaces`, `valid-after` and `valid-before`";
            return Err(format!("{} is neither a type of key nor an option: there are {known}", quoted(name)));
        }
    };
    if is_second { Err(format!("`{name}` stands there twice")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN0TWZ+B050pf96TexDiQrCW3velzg9K0N5Gxu5YFIja";

    #[track_caller]
    fn refused(text: &str) -> String {
        AllowedSigners::parse("FILE", text).expect_err("it has a bad line").to_string()
    }

    #[test]
    fn lines_are_read_as_ssh_keygen_reads_them() {
        for (text, namespaces, validity) in [
            ("anna@example.org KEY", None, [None, None]),
            ("  anna@example.org,*@example.net\tKEY a comment with words", None, [None, None]),
            ("\"anna b@example.org\" KEY", None, [None, None]),
            ("anna namespaces=\"git, file\" KEY", Some("git, file"), [None, None]),
            (
                "anna valid-after=\"19700102\",NAMESPACES=\"git\",valid-before=\"197001020001Z\" KEY",
                Some("git"),
                [Some(86_400_000), Some(86_460_000)],
            ),
        ] {
            let text = format!("# a comment\r\n\n{}\r\n", text.replace("KEY", KEY));
            let signers = AllowedSigners::parse("FILE", &text).expect("a good line").signers;
            let [Signer { line: 3, options, key, .. }] = &signers[..] else { panic!("{signers:?}") };
            let millis = [options.validity.after, options.validity.before].map(|at| at.map(Timestamp::unix_millis));
            assert_eq!((options.namespaces.as_deref(), millis, key.name()), (namespaces, validity, "ssh-ed25519"));
        }
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_wrong() {
        for (line, part) in [
            ("anna", "it has no key"),
            ("KEY", "neither a type of key nor an option"),
            ("anna ssh-ed25519", "it has no key"),
            ("anna ssh-ed25519 AAAA", "the key is damaged"),
            ("anna ssh-ed25519 ???", "the key is damaged: copy it whole"),
            ("anna namespaces=\"git\"", "it has no key"),
            ("anna namespaces=git KEY", "stands in quotes: `namespaces=\"…\"`"),
            ("anna namespaces=\"git KEY", "a quote is opened and not closed"),
            ("anna namespaces KEY", "`namespaces` names none"),
            ("anna namespaces=\"git\",namespaces=\"x\" KEY", "`namespaces` stands there twice"),
            ("anna namespaces=\"git\", KEY", "no option follows"),
            ("anna namespaces=\"git\"x KEY", "between two options stands a comma"),
            ("anna valid-before=\"tomorrow\" KEY", "`tomorrow` is no moment"),
            ("anna valid-before=\"20200101\",valid-after=\"20200101\" KEY", "the key never counts"),
            ("anna cert-authority KEY", "certificates are not supported: list the keys themselves"),
            ("anna cert-authority,namespaces=\"git\" KEY", "certificates are not supported"),
            ("anna verify-required KEY", "`verify-required` is neither a type of key nor an option"),
            ("anna ssh-rsa REST", "it says `ssh-rsa`, and the key is one of `ssh-ed25519`"),
            ("anna ssh-dss AAAAB3NzaC1kc3M=", "`ssh-dss` is no type of key that is supported"),
            (
                "anna ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
                "is a certificate, and certificates are not supported",
            ),
        ] {
            let (_, rest) = KEY.split_once(' ').expect("two words");
            let line = line.replace("KEY", KEY).replace("REST", rest);
            let text = refused(&format!("anna {KEY}\n\n{line}\n"));
            assert!(text.starts_with("FILE:3: ") && text.contains(part), "{line}: {text}");
        }
        for text in ["", "# nobody\n"] {
            assert!(refused(text).starts_with("FILE:1: there is no key"), "{text}");
        }
    }
}
