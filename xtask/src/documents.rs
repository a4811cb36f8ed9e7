//! The documents, read as a reader of them does: where their links lead, and whether the tests that they name are
//! there. What they say is not checked.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn events(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
}

/// The links of a document that lead to this project's own files, as they are written.
pub(crate) fn links(text: &str) -> Vec<String> {
    let targets = events(text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    });
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// The file that a link in `document` leads to, and the heading in it.
pub(crate) fn target(document: &Path, link: &str) -> (PathBuf, Option<String>) {
    let (file, heading) = match link.split_once('#') {
        Some((file, heading)) => (file, Some(heading.to_owned())),
        None => (link, None),
    };
    if file.is_empty() {
        return (document.to_owned(), heading);
    }
    let mut path = document.parent().map(Path::to_owned).unwrap_or_default();
    for component in Path::new(file).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    (path, heading)
}

/// The names by which a document's headings are linked to, made as GitHub makes them.
fn anchors(text: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    let mut heading: Option<String> = None;
    for event in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let Some(heading) = heading.take() else { continue };
                let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(numbered).find(|a| !anchors.contains(a));
                anchors.extend(free);
            }
            _ => {}
        }
    }
    anchors
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file of this kind that is not built, by its path below the project's root.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = Path::new(folder).join(&name);
        if root().join(&path).is_dir() {
            if !name.starts_with('.') && name != "target" {
                found.extend(files(path.to_str().unwrap(), extension));
            }
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    let documents = files("", "md");
    for document in &documents {
        for link in links(&read(document)) {
            let (path, heading) = target(document, &link);
            let there = root().join(&path).exists();
            if !there || heading.is_some_and(|heading| !anchors(&read(&path)).contains(&heading)) {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(documents.iter().any(|path| path == Path::new("README.md")), "{documents:?}");
    assert!(dead.is_empty(), "these links lead nowhere: {dead:#?}");
}

#[test]
fn anchors_are_as_on_github() {
    let text = "# The `first` client\n\n## What is tested, and how\n\n## Files\n\n### Files\n\nFiles\n";
    let expected = ["the-first-client", "what-is-tested-and-how", "files", "files-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
    let document = Path::new("docs/guide.md");
    for (link, path, heading) in [
        ("../README.md", "README.md", None),
        ("audit.md#files", "docs/audit.md", Some("files")),
        ("#files", "docs/guide.md", Some("files")),
    ] {
        assert_eq!(target(document, link), (path.into(), heading.map(str::to_owned)));
    }
}

/// Documents name tests as `crate: module`, more modules of that crate after it, and functions by their names.
#[test]
fn the_tests_that_are_named_are_there() {
    let sources: Vec<_> = ["crates", "tests", "bench/src", "xtask/src"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| (path.to_str().unwrap().to_owned(), read(&path)))
        .collect();
    let is_module = |of: &str, module: &str| {
        let folder = if of == "e2e" { "tests/".to_owned() } else { format!("crates/{of}/") };
        let name = format!("/{}", module.replace("::", "/"));
        let ends = [format!("{name}.rs"), format!("{name}/mod.rs"), format!("{name}/main.rs")];
        sources
            .iter()
            .any(|(path, _)| path.starts_with(&folder) && ends.iter().any(|end| path.ends_with(end)))
    };
    let is_function = |name: &str| {
        let starts = [format!("fn {name}("), format!("fn {name}<")];
        sources.iter().any(|(_, text)| starts.iter().any(|start| text.contains(start)))
    };
    let is_name =
        |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c));
    let (mut named, mut missing) = (0, Vec::new());
    for document in files("", "md") {
        let text = read(&document);
        // The crate that was named last, while nothing else but commas has followed.
        let mut of: Option<String> = None;
        for event in events(&text) {
            let there = match event {
                Event::Code(code) => match code.split_once(": ") {
                    Some((name, module))
                        if is_name(module) && root().join("crates").join(name).is_dir() || name == "e2e" =>
                    {
                        of = Some(name.to_owned());
                        Some((code.to_string(), is_module(name, module)))
                    }
                    // The audit log's events have long names, too.
                    _ if is_name(&code)
                        && code.matches('_').count() > 2
                        && !document.ends_with("audit.md") =>
                    {
                        Some((code.to_string(), is_function(&code)))
                    }
                    _ => of
                        .as_deref()
                        .filter(|_| is_name(&code))
                        .map(|of| (format!("{of}: {code}"), is_module(of, &code) || is_function(&code))),
                },
                Event::Text(text) if text.trim() == "," || text.trim() == "(" || text.trim() == ")," => None,
                _ => {
                    of = None;
                    None
                }
            };
            named += usize::from(there.is_some());
            missing.extend(
                there.filter(|(_, there)| !there).map(|(name, _)| format!("{}: {name}", document.display())),
            );
        }
    }
    assert!(named > 100, "only {named} tests are named");
    assert!(missing.is_empty(), "these tests are named and not there: {missing:#?}");
}
