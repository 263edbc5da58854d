//! The one style of files: nothing is changed but the style.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bascule::core::inventory::{Unformatted, format, starter};
use bascule::core::model::FileSet;
use proptest::prelude::*;

use super::{files_of, load_files};

/// What a text becomes. It must stay as it is from then on.
#[track_caller]
fn formatted(text: &str) -> String {
    let once = format(text).unwrap_or_else(|why| panic!("{why:?}:\n{text}"));
    assert_eq!(format(&once).as_deref(), Ok(once.as_str()), "a second time differs, of:\n{text}");
    once
}

#[test]
fn every_habit_has_one_form() {
    for (text, expected) in [
        // Spaces, brackets, ends.
        (
            "name:   web\ndomains:   [ a.fr,b.fr ]\nhealth: {path: /health,interval: 2s}",
            "name: web\ndomains: [a.fr, b.fr]\nhealth: { path: /health, interval: 2s }\n",
        ),
        ("a: []\nb: {}\nc: [ ]\n", "a: []\nb: {}\nc: []\n"),
        ("a: 1   \n\n\n\nb: 2\n\n\n", "a: 1\n\nb: 2\n"),
        ("\n\na: 1\r\nb: 2\r\n", "a: 1\nb: 2\n"),
        // Indentation, of lists too.
        ("a:\n- x\n- y\nb:\n     c: 1\n     d:\n       - e\n", "a:\n  - x\n  - y\nb:\n  c: 1\n  d:\n    - e\n"),
        ("-   a: 1\n    b: 2\n-\n  c: 3\n- - x\n  - y\n", "- a: 1\n  b: 2\n- c: 3\n- - x\n  - y\n"),
        // Quotes only where somebody might read another value.
        (
            "a: 'web'\nb: \"8080\"\nc: 'yes'\nd: \":443\"\ne: \"10.200.1.23\"\nf: '*.a.fr'\ng: 'a: b'\nh: \"\"\ni: 'null'\n",
            "a: web\nb: \"8080\"\nc: \"yes\"\nd: \":443\"\ne: 10.200.1.23\nf: \"*.a.fr\"\ng: \"a: b\"\nh: \"\"\ni: \"null\"\n",
        ),
        (
            "a: 'it''s'\nb: \"say \\\"so\\\"\"\nc: \"\\e\\t\\n\"\nd: off\n",
            "a: \"it's\"\nb: 'say \"so\"'\nc: \"\\u001B\\t\\n\"\nd: off\n",
        ),
        ("\"name\": a\n'1': b\n? c\n: d\n", "name: a\n\"1\": b\nc: d\n"),
        // Blanks that are none to YAML.
        ("a: b\u{c}\u{c}\n\u{a0}: c\n", "a: b\u{c}\u{c}\n\u{a0}: c\n"),
        // Comments stay where they belong.
        (
            "#one\nname: a # two\n\n   # three\nb:   # four\n  - c   # five\n  # six\nd: 1\n# seven",
            "#one\nname: a  # two\n\n# three\nb:  # four\n  - c  # five\n  # six\nd: 1\n# seven\n",
        ),
        (
            "a: # one\n  # two\n  b\nc: [ # three\n  d, e, # four\n  f # five\n] # six\n",
            "# one\n# two\na: b\nc:  # three\n  - d\n  - e  # four\n  - f  # five\n  # six\n",
        ),
        ("- # one\n  a: # two\n    1\n- # three\n- b\n", "# one\n# two\n- a: 1\n-  # three\n- b\n"),
        (
            "a:\n  b:\n    c: 1\n    # of c\n  # of b\n# of a\nd: 1\n",
            "a:\n  b:\n    c: 1\n    # of c\n  # of b\n# of a\nd: 1\n",
        ),
        // Documents.
        ("---\na: 1\n---   # two\nb: 2\n...\n---\n", "a: 1\n---\n# two\nb: 2\n"),
        ("%YAML 1.2\n---\na: 1\n", "a: 1\n"),
        ("# nothing yet\n", "# nothing yet\n"),
        ("", ""),
        // Long texts.
        (
            "a: |\n     one\n\n       two\n     three\nb: >-\n   folded\n   text\n\n   more\nc: |+\n  kept\n\nd: |2\n    deep\n",
            "a: |\n  one\n\n    two\n  three\nb: >-\n  folded\n  text\n\n  more\nc: |+\n  kept\n\nd: |2\n    deep\n",
        ),
        (
            "a: | # head\n  x\n# after\nb: one\n    two\nc: 'q\n  r'\n",
            "a: |  # head\n  x\n# after\nb: one\n  two\nc: 'q\n  r'\n",
        ),
        // Anchors.
        ("a: &x  [ b ]\nc: *x\nd: &y\n    e: 1\nf: [*x,  &z g]\n", "a: &x [b]\nc: *x\nd: &y\n  e: 1\nf: [*x, &z g]\n"),
    ] {
        assert_eq!(formatted(text), expected, "of:\n{text}");
    }
}

#[test]
fn what_does_not_fit_a_line_is_a_block() {
    let names: Vec<String> = (0..30).map(|at| format!("name-{at}")).collect();
    let text = formatted(&format!("tags: [{}] # all\n", names.join(", ")));
    assert!(text.starts_with("tags:  # all\n  - name-0\n  - name-1\n"), "{text}");
    assert_eq!(text.lines().count(), 31);
    let fits = format!("tags: [{}]\n", "x".repeat(112));
    assert_eq!(formatted(&fits), fits);
    let wide = format!("tags: [{}]\n", "x".repeat(113));
    assert_eq!(formatted(&wide), format!("tags:\n  - {}\n", "x".repeat(113)));
}

#[test]
fn what_is_no_yaml_is_left_alone() {
    for text in ["a: [1\n", "a: 1\na: 2\n", "a: !!int 1\n", "<<: {a: 1}\n", "a: *b\n", "\u{feff}a: 1\n", "a:\n\tb: 1\n"]
    {
        assert_eq!(format(text), Err(Unformatted::Faulty), "{text}");
    }
}

/// Every inventory of the tests, the examples and the starter: the same diagnostics and the same state, though places move.
#[test]
fn no_inventory_changes_its_meaning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("examples/acecinema/inventory"), root.join("inventory")];
    for class in ["valid", "invalid"] {
        let entries = std::fs::read_dir(root.join("tests/fixtures/inventory").join(class)).expect("the fixtures");
        folders.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|path: &PathBuf| path.is_dir()));
    }
    let mut count = 0;
    for folder in folders {
        let files = files_of(&folder);
        let one_style: FileSet = files
            .iter()
            .map(|(path, bytes)| {
                let text = std::str::from_utf8(bytes).ok().filter(|text| format(text) != Err(Unformatted::Faulty));
                count += usize::from(text.is_some());
                (path.to_owned(), text.map_or_else(|| bytes.to_vec(), |text| formatted(text).into_bytes()))
            })
            .collect();
        let (before, after) = (load_files(&files), load_files(&one_style));
        assert_eq!(before.desired, after.desired, "{}", folder.display());
        let codes = |loaded: &bascule::core::inventory::Loaded| {
            let mut codes: Vec<_> =
                loaded.diagnostics.iter().map(|it| (it.file.clone(), it.code, it.message.clone())).collect();
            codes.sort();
            codes
        };
        assert_eq!(codes(&before), codes(&after), "{}", folder.display());
    }
    assert!(count > 300, "only {count} files were formatted");
}

#[test]
fn the_starter_and_the_examples_are_in_the_one_style() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["examples/acecinema/inventory", "inventory"] {
        for (path, bytes) in files_of(&root.join(folder)).iter() {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            assert_eq!(format(text).as_deref(), Ok(text), "{folder}/{path}: mend it with `bascule fmt {folder}`");
        }
    }
    for (path, text) in starter() {
        assert_eq!(format(text).as_deref(), Ok(text), "src/core/inventory/starter/{path}");
    }
}

/// Any value, written in any of the ways that people have, with comments wherever a line ends.
fn document() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z][a-z0-9./:-]{0,8}[a-z0-9]",
        Just("yes".to_owned()),
        Just("8080".to_owned()),
        Just("null".to_owned()),
        Just("*.é.fr".to_owned()),
        Just("a: #b".to_owned()),
        Just("  x ' \" \\ ".to_owned()),
        Just("12:30".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just(String::new()),
        "[ -~]{0,12}",
    ];
    let scalar = (word, 0..3_u8).prop_map(|(word, style)| Shape::Scalar(word, style));
    let key = "k[a-z]{0,5}";
    let shape = scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            (prop::collection::vec((inner.clone(), noise()), 0..4), any::<bool>())
                .prop_map(|(items, flow)| Shape::List(items, flow)),
            (prop::collection::btree_map(key, (inner, noise()), 0..4), any::<bool>())
                .prop_map(|(entries, flow)| Shape::Map(entries.into_iter().collect(), flow)),
        ]
    });
    (prop::collection::btree_map("k[a-z]{0,5}", (shape, noise()), 1..5), 1..5_usize).prop_map(|(entries, step)| {
        let mut text = String::new();
        block(&Shape::Map(entries.into_iter().collect(), false), 0, step, &mut text);
        text
    })
}

/// Something to write.
#[derive(Debug, Clone)]
enum Shape {
    Scalar(String, u8),
    List(Vec<(Shape, Noise)>, bool),
    Map(Vec<(String, (Shape, Noise))>, bool),
}

/// Comments and empty lines around an entry.
#[derive(Debug, Clone)]
struct Noise {
    empty: u8,
    above: Option<(String, usize)>,
    beside: Option<String>,
}

fn noise() -> impl Strategy<Value = Noise> {
    let words = "#[ -~é]{0,10}";
    (0..3_u8, prop::option::weighted(0.3, (words, 0..6_usize)), prop::option::weighted(0.3, words))
        .prop_map(|(empty, above, beside)| Noise { empty, above, beside })
}

fn block(shape: &Shape, indent: usize, step: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let lead = |noise: &Noise, out: &mut String| {
        out.push_str(&"\n".repeat(usize::from(noise.empty)));
        if let Some((comment, column)) = &noise.above {
            let _ = writeln!(out, "{}{comment}", " ".repeat(*column));
        }
    };
    let child = |head: String, shape: &Shape, noise: &Noise, out: &mut String| {
        lead(noise, out);
        let beside = noise.beside.as_ref().map(|comment| format!(" {comment}")).unwrap_or_default();
        let is_below = match shape {
            Shape::List(items, flow) => !flow && !items.is_empty(),
            Shape::Map(entries, flow) => !flow && !entries.is_empty(),
            Shape::Scalar(..) => false,
        };
        if is_below {
            let _ = writeln!(out, "{pad}{head}{beside}");
            block(shape, indent + step, step, out);
        } else {
            let _ = writeln!(out, "{pad}{head} {}{beside}", inline(shape, indent + step));
        }
    };
    match shape {
        Shape::List(items, _) => {
            for (item, noise) in items {
                child("-".to_owned(), item, noise, out);
            }
        }
        Shape::Map(entries, _) => {
            for (key, (value, noise)) in entries {
                child(format!("{key}:"), value, noise, out);
            }
        }
        Shape::Scalar(..) => out.push_str(&inline(shape, indent)),
    }
}

/// In brackets, with comments behind some commas.
fn inline(shape: &Shape, indent: usize) -> String {
    let gap = |noise: &Noise| match &noise.beside {
        Some(comment) => format!(", {comment}\n{}", " ".repeat(indent + 1)),
        None => ",".to_owned(),
    };
    match shape {
        Shape::Scalar(text, 0) if text.bytes().all(|it| it.is_ascii_alphanumeric()) && !text.is_empty() => text.clone(),
        Shape::Scalar(text, 1) => format!("'{}'", text.replace('\'', "''")),
        Shape::Scalar(text, _) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Shape::List(items, _) => {
            let items: String = items.iter().map(|(item, noise)| inline(item, indent) + &gap(noise)).collect();
            format!("[{items}]")
        }
        Shape::Map(entries, _) => {
            let entry = |(key, (value, noise)): &(String, (Shape, Noise))| {
                format!("{key}: {}{}", inline(value, indent), gap(noise))
            };
            let entries: String = entries.iter().map(entry).collect();
            format!("{{{entries}}}")
        }
    }
}

/// Comments by another way than the formatter's: outside of quotes, after white space.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let (mut quote, mut before) = (None, ' ');
        let mut characters = line.char_indices().peekable();
        while let Some((at, it)) = characters.next() {
            match (quote, it) {
                (None, '#') if before.is_whitespace() => {
                    found.push(line[at..].trim_end().to_owned());
                    break;
                }
                (None, '"' | '\'') if " [{,:-\t".contains(before) => quote = Some(it),
                (Some('"'), '\\') => _ = characters.next(),
                // Two in a row stand for one.
                (Some('\''), '\'') if characters.next_if(|(_, it)| *it == '\'').is_some() => {}
                (Some(open), it) if open == it => quote = None,
                _ => {}
            }
            before = it;
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_keeps_its_values_and_comments(text in document()) {
        let once = match format(&text) {
            Ok(once) => once,
            Err(why) => return Err(TestCaseError::fail(format!("{why:?}:\n{text}"))),
        };
        let twice = format(&once).expect("what was written is read");
        prop_assert_eq!(&once, &twice, "a second time differs, of:\n{}", text);
        let value = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).expect("YAML for others too");
        prop_assert_eq!(value(&text), value(&once), "another reader sees other values, of:\n{}\nin:\n{}", text, once);
        prop_assert_eq!(comments(&text), comments(&once), "comments, of:\n{}\nin:\n{}", text, once);
    }
}
