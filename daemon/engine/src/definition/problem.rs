//! What is wrong with a definition file, and where: file, line, key and reason.

use std::{cell::OnceCell, fmt, ops::Range};

use toml_edit::{Document, Item, Value};

/// Something that is wrong with a definition file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, counted from 1; absent when the whole file is meant.
    pub line: Option<usize>,
    /// The key, `protocol[0].default.features[2].index`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Finds lines of keys and keys of lines in one file.
pub(super) struct Places<'a> {
    file: &'a str,
    text: &'a str,
    /// Read at the first problem only: most files have none, and all are read at the start of the service.
    document: OnceCell<Option<Document<&'a str>>>,
}

impl<'a> Places<'a> {
    pub(super) const fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, document: OnceCell::new() }
    }

    fn document(&self) -> Option<&Document<&'a str>> {
        self.document.get_or_init(|| Document::parse(self.text).ok()).as_ref()
    }

    /// A problem with this key.
    pub(super) fn problem(&self, key: impl Into<String>, reason: impl Into<String>) -> Problem {
        let key = key.into();
        let line = self.span_of(&key).map(|span| self.line(span.start));
        Problem { file: self.file.to_owned(), line, key, reason: reason.into() }
    }

    /// A problem that the TOML reader found.
    pub(super) fn unreadable(&self, error: &toml::de::Error) -> Problem {
        let span = error.span();
        let key = span.as_ref().map(|span| self.key_at(span)).unwrap_or_default();
        let line = span.map(|span| self.line(span.start));
        Problem { file: self.file.to_owned(), line, key, reason: error.message().replace('\n', ", ") }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The bytes of a key, or of the nearest thing around it that the file has.
    fn span_of(&self, key: &str) -> Option<Range<usize>> {
        let mut found = None;
        let mut at = Place::Item(self.document()?.as_item());
        for step in steps(key) {
            let Some(next) = at.step(step) else { break };
            found = next.span().or(found);
            at = next;
        }
        found
    }

    /// The deepest key whose value, or name, covers these bytes.
    fn key_at(&self, span: &Range<usize>) -> String {
        let Some(document) = self.document() else { return String::new() };
        let mut key = String::new();
        descend(Place::Item(document.as_item()), span, &mut key);
        key
    }
}

/// A step of a key path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Number(usize),
}

fn steps(key: &str) -> impl Iterator<Item = Step<'_>> {
    key.split(['.', '[']).filter(|step| !step.is_empty()).map(|step| match step.strip_suffix(']') {
        Some(number) => number.parse().map_or(Step::Name(step), Step::Number),
        None => Step::Name(step),
    })
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Item(&'a Item),
    Table(&'a toml_edit::Table),
    Value(&'a Value),
}

impl<'a> Place<'a> {
    fn span(self) -> Option<Range<usize>> {
        match self {
            Self::Item(item) => item.span(),
            Self::Table(table) => table.span(),
            Self::Value(value) => value.span(),
        }
    }

    fn step(self, step: Step<'_>) -> Option<Self> {
        match (self, step) {
            (Self::Item(Item::ArrayOfTables(tables)), Step::Number(number)) => {
                tables.get(number).map(Self::Table)
            }
            (
                Self::Item(Item::Value(Value::Array(array))) | Self::Value(Value::Array(array)),
                Step::Number(number),
            ) => array.get(number).map(Self::Value),
            (Self::Item(item), Step::Name(name)) => item.as_table_like()?.get(name).map(Self::Item),
            (Self::Table(table), Step::Name(name)) => table.get(name).map(Self::Item),
            (Self::Value(value), Step::Name(name)) => value.as_inline_table()?.get(name).map(Self::Value),
            (Self::Table(_) | Self::Value(_) | Self::Item(_), Step::Number(_)) => None,
        }
    }

    fn children(self) -> Vec<(String, Option<Range<usize>>, Self)> {
        let numbered = |(number, place): (usize, Self)| (format!("[{number}]"), None, place);
        match self {
            Self::Item(Item::ArrayOfTables(tables)) => {
                tables.iter().map(Self::Table).enumerate().map(numbered).collect()
            }
            Self::Item(Item::Value(Value::Array(array))) | Self::Value(Value::Array(array)) => {
                array.iter().map(Self::Value).enumerate().map(numbered).collect()
            }
            Self::Item(Item::Value(Value::InlineTable(table))) | Self::Value(Value::InlineTable(table)) => {
                table
                    .iter()
                    .map(|(name, value)| {
                        (name.to_owned(), table.key(name).and_then(toml_edit::Key::span), Self::Value(value))
                    })
                    .collect()
            }
            Self::Item(Item::Table(table)) | Self::Table(table) => table
                .iter()
                .map(|(name, item)| {
                    (name.to_owned(), table.key(name).and_then(toml_edit::Key::span), Self::Item(item))
                })
                .collect(),
            Self::Item(_) | Self::Value(_) => Vec::new(),
        }
    }
}

fn covers(outer: Option<&Range<usize>>, inner: &Range<usize>) -> bool {
    outer.is_some_and(|outer| outer.start <= inner.start && inner.end <= outer.end)
}

/// Whether something was found below `place`. Tables of a file may lie apart from their parent's own lines, so every branch is
/// tried.
fn descend(place: Place<'_>, span: &Range<usize>, key: &mut String) -> bool {
    for (name, name_span, child) in place.children() {
        let before = key.len();
        if !key.is_empty() && !name.starts_with('[') {
            key.push('.');
        }
        key.push_str(&name);
        if descend(child, span, key)
            || covers(name_span.as_ref(), span)
            || covers(child.span().as_ref(), span)
        {
            return true;
        }
        key.truncate(before);
    }
    false
}
