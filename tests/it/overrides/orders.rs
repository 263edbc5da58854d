//! What an operator writes, and what is made of it.

use bascule::core::routing::{Cause, Field, OverrideDoc, Overrides, signature};
use bascule::core::status::ErrorDto;

use super::{Action, NOW, four, hour, later};

fn doc(change: impl FnOnce(&mut OverrideDoc)) -> OverrideDoc {
    let text = |text: &str| text.to_owned();
    let mut doc = OverrideDoc {
        target: text("backend:d1"),
        action: text("down"),
        term: text("2h"),
        reason: text(" disk swap "),
        by: text("anna"),
    };
    change(&mut doc);
    doc
}

#[test]
fn a_good_order_is_taken_as_it_is() {
    let accepted = doc(|_| ()).accept(&four(""), NOW).expect("it is good");
    let mut expected = hour("backend:d1", Action::Down);
    expected.until = later(7200);
    assert_eq!(accepted, expected);
    for term in ["1s", "30d", "720h"] {
        doc(|doc| doc.term = term.to_owned()).accept(&four(""), NOW).expect(term);
    }
    doc(|doc| doc.by = String::new()).accept(&four(""), NOW).expect("nobody has to say who it is");
    let json = r#"{"target": "d1", "action": "up", "for": "30m", "reason": "a probe is wrong"}"#;
    let read: OverrideDoc = serde_json::from_str(json).expect("an order");
    assert_eq!(read.accept(&four(""), NOW).expect("it is good").until, later(1800));
}

#[track_caller]
fn check(field: Field, cure: &str, change: impl FnOnce(&mut OverrideDoc)) {
    let refusal = doc(change).accept(&four(""), NOW).expect_err("it is bad");
    assert_eq!(refusal.cause, Cause::Field(field), "{}", refusal.message);
    let ErrorDto { error, field: told } = ErrorDto::of(&refusal);
    assert_eq!(told.as_deref(), Some(field.as_str()));
    assert!(error.starts_with(&format!("`{}`: ", field.as_str())) && error.contains(cure), "{error}");
}

#[test]
fn a_bad_order_is_told_its_field_and_the_cure() {
    check(Field::Target, "did you mean `backend:d1`?", |doc| doc.target = "backend:d3".to_owned());
    check(Field::Action, "`drain`, `up` or `down`", |doc| doc.action = "off".to_owned());
    for term in ["31d", "721h", "0s", "2", "soon", ""] {
        check(Field::For, "at most `30d`, such as `2h`", |doc| doc.term = term.to_owned());
    }
    for reason in ["", "  \t"] {
        check(Field::Reason, "say in a few words why", |doc| doc.reason = reason.to_owned());
    }
    check(Field::Reason, "write it as one line", |doc| doc.reason = "disk\nlevel=error all is lost".to_owned());
    check(Field::Reason, "write it as one line", |doc| doc.reason = "\u{1b}[2J".to_owned());
    check(Field::Reason, "at most 200", |doc| doc.reason = "é".repeat(201));
    check(Field::By, "at most 60", |doc| doc.by = "a".repeat(61));
    check(Field::By, "write it as one line", |doc| doc.by = "a\rb".to_owned());
    assert_eq!(signature(" anna "), Ok("anna".to_owned()));
}

#[test]
fn what_is_cleared_need_not_be_in_the_inventory() {
    let overrides: Overrides =
        [hour("backend:gone", Action::Down), hour("site:dijon", Action::Up)].into_iter().collect();
    let named = |text: &str| overrides.named(text);
    for text in ["gone", "backend:gone"] {
        assert_eq!(named(text).expect("it is there").to_string(), "backend:gone");
    }
    for (text, cure) in [
        ("dijno", "did you mean `dijon`?"),
        ("backend:gon", "did you mean `backend:gone`?"),
        ("www", "what is: `backend:gone`, `site:dijon`"),
    ] {
        let refusal = named(text).expect_err("it is not overridden");
        assert_eq!(refusal.cause, Cause::Unknown);
        assert!(refusal.message.contains(cure), "{}", refusal.message);
    }
    let both: Overrides = [hour("backend:dijon", Action::Down), hour("site:dijon", Action::Up)].into_iter().collect();
    let refusal = both.named("dijon").expect_err("it may be either");
    assert!(refusal.message.contains("give `backend:dijon` or `site:dijon`"), "{}", refusal.message);
    assert!(Overrides::new().named("d1").expect_err("nothing is").message.ends_with("nothing is"));
}
