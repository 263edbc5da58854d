use super::Failure;

/// One of several things that were tried: its name, and what came of it.
pub type Tried = (String, Result<(), Failure>);

/// What comes of tries that all have to pass. One that could not be made says nothing, where another one has failed.
pub fn all_of(tried: Vec<Tried>) -> Result<(), Failure> {
    let passed = tried.iter().any(|(_, result)| result.is_ok());
    let failures = failures(tried);
    let (mut unmade, failed): (Vec<_>, Vec<_>) = failures.into_iter().partition(|(_, failure)| is_unmade(failure));
    match (failed.is_empty(), unmade.pop()) {
        (true, None) => Ok(()),
        (true, Some((_, failure))) => Err(failure),
        (false, _) => Err(Failure::Tries { failed, passed }),
    }
}

/// What comes of tries of which one has to pass. Where none did, one that could not be made might have.
pub fn any_of(tried: Vec<Tried>) -> Result<(), Failure> {
    if tried.iter().any(|(_, result)| result.is_ok()) {
        return Ok(());
    }
    let failed = failures(tried);
    match failed.iter().find(|(_, failure)| is_unmade(failure)) {
        Some((_, failure)) => Err(failure.clone()),
        None => Err(Failure::Tries { failed, passed: false }),
    }
}

/// What did not pass beside something that did, in words.
pub fn passed_over(tried: &[Tried]) -> Option<String> {
    let failed: Vec<_> = tried.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?))).collect();
    let is_one = !failed.is_empty() && failed.len() < tried.len();
    is_one.then(|| failed.iter().map(|(name, failure)| format!("{name}: {failure}")).collect::<Vec<_>>().join("; "))
}

fn failures(tried: Vec<Tried>) -> Vec<(String, Failure)> {
    tried.into_iter().filter_map(|(name, result)| Some((name, result.err()?))).collect()
}

fn is_unmade(failure: &Failure) -> bool {
    matches!(failure, Failure::Prober(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` passes, `-` times out, `5` answers 503, `!` cannot be made.
    fn tried(text: &str) -> Vec<Tried> {
        let result = |c| match c {
            '+' => Ok(()),
            '-' => Err(Failure::Timeout),
            '5' => Err(Failure::Status(503)),
            _ => Err(Failure::Prober("no free socket".to_owned())),
        };
        (1..).zip(text.chars()).map(|(number, c)| (format!("T{number}"), result(c))).collect()
    }

    #[test]
    fn tries_come_together() {
        for (text, all, any) in [
            ("++", "pass", "pass"),
            ("+-", "T2: timed out", "pass"),
            ("5-", "T1: answered 503; T2: timed out", "T1: answered 503; T2: timed out"),
            ("--", "T1: timed out; T2: timed out, out of reach", "T1: timed out; T2: timed out, out of reach"),
            ("+!", "not probed: no free socket", "pass"),
            ("-!", "T1: timed out, out of reach", "not probed: no free socket"),
            ("+5!", "T2: answered 503", "pass"),
        ] {
            let words = |result: Result<(), Failure>| match result {
                Ok(()) => "pass".to_owned(),
                Err(failure) if failure.is_out_of_reach() => format!("{failure}, out of reach"),
                Err(failure) => failure.to_string(),
            };
            assert_eq!(words(all_of(tried(text))), all, "all of {text}");
            assert_eq!(words(any_of(tried(text))), any, "any of {text}");
        }
    }

    #[test]
    fn what_fails_beside_what_passes_is_named() {
        for (text, expected) in [
            ("++", None),
            ("5-", None),
            ("+-", Some("T2: timed out")),
            ("5+-", Some("T1: answered 503; T3: timed out")),
            ("!+", Some("T1: not probed: no free socket")),
        ] {
            assert_eq!(passed_over(&tried(text)).as_deref(), expected, "{text}");
        }
    }
}
