//! Changes to a file of the user, for `buttplugctl config`: the text comes in and goes out, with its comments and order.
//!
//! A file that has an error is not touched, and neither is one that would have one after the change.

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value, value,
};

use super::{
    layer::Layer,
    model::Which,
    parse::{Parsed, parse},
    problem::Problem,
    template::AnyTemplate,
};
use crate::vocabulary::{OutputKind, Range};

/// One change to what the user wants of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Gives it a name, or takes it away.
    Rename(Option<String>),
    /// Whether it may be used.
    Access(AccessWish),
    /// The index that it shall have for life.
    Index(Option<u32>),
    /// The shortest time between two packets in milliseconds.
    MessageGap(Option<u32>),
    /// Something about one output.
    Output {
        /// The index of the feature.
        feature: u32,
        /// Which output of it.
        kind: OutputKind,
        /// What about it.
        change: OutputChange,
    },
}

/// Whether a device may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessWish {
    /// Never. If it is on the list of allowed devices it stays there, or the list might be gone and let in all others.
    Deny,
    /// Yes, and others only if they are allowed too.
    Allow,
    /// No longer denied, and on the list of allowed devices if it was.
    NotDenied,
    /// As other rules have it.
    Unsaid,
}

/// One change to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputChange {
    /// The part of the device's own range that may be used; `None` lifts the limit.
    Limit(Option<Range>),
    /// The times in milliseconds that may be asked for; `None` lifts the limit.
    LimitDuration(Option<(u32, u32)>),
    /// Whether clients see it.
    Shown(Visibility),
    /// Which way it goes.
    Heading(Turn),
}

/// Whether clients see an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// They do.
    Shown,
    /// They do not.
    Disabled,
}

/// Which way an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// As the device has it.
    Forward,
    /// The other way.
    Inverted,
}

/// A change that was not made. The file stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file had an error before.
    #[error("the file has an error, and is left as it is: {0}")]
    BrokenBefore(Problem),
    /// The change is not possible.
    #[error("the change cannot be made: {0}")]
    Refused(Problem),
}

/// The text of a user's file after a change. `file` is its path, for messages.
///
/// The entry with exactly this `which` is changed; if there is none, one is added at the end.
///
/// # Errors
/// The file has an error, or would have one.
pub fn apply(file: &str, text: &str, which: &Which, change: &Change) -> Result<String, EditError> {
    if let Some(problem) = first_problem(file, text) {
        return Err(EditError::BrokenBefore(problem));
    }
    let odd = |reason: String| {
        EditError::BrokenBefore(Problem { file: file.to_owned(), line: None, key: String::new(), reason })
    };
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| odd(error.message().to_owned()))?;
    // What stands below the last entry stays above a new one: it may be all that there is.
    let below = document.trailing().as_str().unwrap_or_default().to_owned();
    let mut entry_is_new = false;
    let devices = document.entry("device").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Item::Value(Value::Array(inline)) = devices {
        // `device = [{ .. }]`: allowed, though nobody writes it so.
        *devices = Item::ArrayOfTables(
            inline.iter().filter_map(Value::as_inline_table).cloned().map(InlineTable::into_table).collect(),
        );
    }
    let Some(devices) = devices.as_array_of_tables_mut() else {
        return Err(odd("`device` is not a list of tables, `[[device]]`".to_owned()));
    };
    let position = devices.iter().position(|table| is_about(table, which));
    let position = position.unwrap_or_else(|| {
        let mut table = Table::new();
        table.insert("which", value(which_table(which)));
        if !text.trim().is_empty() {
            table.decor_mut().set_prefix(format!("{below}\n"));
        }
        entry_is_new = true;
        devices.push(table);
        devices.len() - 1
    });
    if let Some(table) = devices.get_mut(position) {
        change_entry(table, change);
        // What stands above a new one is from elsewhere in the file.
        if says_nothing(table) && (entry_is_new || !has_comment(table)) {
            devices.remove(position);
            entry_is_new = false;
        }
    }
    if entry_is_new {
        document.set_trailing("");
    }
    let mut changed = document.to_string();
    if position == 0 && !text.starts_with('\n') {
        // What was between the first entry and the second.
        changed = changed.trim_start_matches('\n').to_owned();
    }
    match first_problem(file, &changed) {
        Some(problem) => Err(EditError::Refused(problem)),
        None => Ok(changed),
    }
}

/// Whether an entry names a device and wants nothing of it.
fn says_nothing(table: &Table) -> bool {
    table.iter().all(|(key, _)| key == "which")
}

/// Whether somebody wrote a comment above an entry or in it.
fn has_comment(table: &Table) -> bool {
    let decor = [table.decor().prefix(), table.decor().suffix()];
    let mut around = decor.into_iter().flatten().filter_map(RawString::as_str);
    around.any(|part| part.contains('#')) || table.to_string().contains('#')
}

fn first_problem(file: &str, text: &str) -> Option<Problem> {
    match parse(file, text, Layer::User, &AnyTemplate) {
        Parsed::Good(_) => None,
        Parsed::Broken { problems, .. } => problems.into_iter().next(),
    }
}

fn is_about(table: &Table, which: &Which) -> bool {
    let Some(found) = table.get("which").and_then(Item::as_table_like) else { return false };
    let says = |key: &str| found.get(key).and_then(Item::as_str);
    let same_address = match (says("address"), which.address.as_deref()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    same_address
        && says("protocol") == which.protocol.as_deref()
        && says("identifier") == which.identifier.as_deref()
}

pub(super) fn which_table(which: &Which) -> InlineTable {
    let mut table = InlineTable::new();
    let keys =
        [("protocol", &which.protocol), ("identifier", &which.identifier), ("address", &which.address)];
    for (key, said) in keys {
        if let Some(said) = said {
            table.insert(key, said.as_str().into());
        }
    }
    table
}

/// Sets a key and keeps the comment beside it, or removes it.
fn set(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    let Some(mut new) = new else {
        table.remove(key);
        return;
    };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn change_entry(table: &mut Table, change: &Change) {
    match change {
        Change::Rename(name) => set(table, "name", name.as_deref().map(Value::from)),
        Change::Access(wish) => {
            set(table, "deny", (*wish == AccessWish::Deny).then(|| true.into()));
            match wish {
                AccessWish::Deny | AccessWish::NotDenied => {}
                AccessWish::Allow => set(table, "allow", Some(true.into())),
                AccessWish::Unsaid => set(table, "allow", None),
            }
        }
        Change::Index(index) => set(table, "index", index.map(|index| i64::from(index).into())),
        Change::MessageGap(gap) => set(table, "message_gap_ms", gap.map(|gap| i64::from(gap).into())),
        Change::Output { feature, kind, change } => change_output(table, *feature, *kind, *change),
    }
}

fn change_output(table: &mut Table, feature: u32, kind: OutputKind, change: OutputChange) {
    let same = |output: &dyn TableLike| {
        output.get("feature").and_then(Item::as_integer) == Some(i64::from(feature))
            && output.get("kind").and_then(Item::as_str) == Some(kind.name())
    };
    let outputs = table.entry("outputs").or_insert_with(|| value(Array::new()));
    if let Some(tables) = outputs.as_array_of_tables_mut() {
        // `[[device.outputs]]`.
        let position = tables.iter().position(|table| same(table));
        let position = position.unwrap_or_else(|| {
            let mut new = Table::new();
            new.insert("feature", value(i64::from(feature)));
            new.insert("kind", value(kind.name()));
            tables.push(new);
            tables.len() - 1
        });
        if let Some(found) = tables.get_mut(position) {
            change_limit(found, change);
            if limits_nothing(found, &found.to_string()) {
                tables.remove(position);
            }
        }
    } else if let Some(outputs) = outputs.as_array_mut() {
        let is_same = |output: &Value| output.as_inline_table().is_some_and(|output| same(output));
        let position = outputs.iter().position(is_same);
        let position = position.unwrap_or_else(|| {
            let mut new = InlineTable::new();
            new.insert("feature", i64::from(feature).into());
            new.insert("kind", kind.name().into());
            outputs.push(new);
            outputs.len() - 1
        });
        // The comments of an element stand in front of it and behind it.
        let all = outputs.to_string();
        if let Some(found) = outputs.get_mut(position).and_then(Value::as_inline_table_mut) {
            change_limit(found, change);
            if limits_nothing(found, &all) {
                outputs.remove(position);
                if position == 0
                    && let Some(first) = outputs.get_mut(0)
                {
                    first.decor_mut().set_prefix("");
                }
            }
        }
    }
    let is_empty = |outputs: &Item| {
        outputs.as_array().is_some_and(Array::is_empty)
            || outputs.as_array_of_tables().is_some_and(ArrayOfTables::is_empty)
    };
    if table.get("outputs").is_some_and(is_empty) {
        table.remove("outputs");
    }
}

/// Whether an entry names an output and wants nothing of it. `text` is where a comment on it would stand.
fn limits_nothing(output: &dyn TableLike, text: &str) -> bool {
    output.iter().all(|(key, _)| key == "feature" || key == "kind") && !text.contains('#')
}

fn change_limit(output: &mut dyn TableLike, change: OutputChange) {
    match change {
        OutputChange::Limit(range) => {
            set(output, "range", range.map(|range| pair(range.min.into(), range.max.into())))
        }
        OutputChange::LimitDuration(times) => {
            set(
                output,
                "duration_ms",
                times.map(|(shortest, longest)| pair(shortest.into(), longest.into())),
            );
        }
        OutputChange::Shown(Visibility::Shown) => set(output, "disabled", None),
        OutputChange::Shown(Visibility::Disabled) => set(output, "disabled", Some(true.into())),
        OutputChange::Heading(Turn::Forward) => set(output, "invert", None),
        OutputChange::Heading(Turn::Inverted) => set(output, "invert", Some(true.into())),
    }
}

fn pair(first: i64, second: i64) -> Value {
    Value::Array([first, second].into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(address: &str) -> Which {
        Which { address: Some(address.into()), ..Which::default() }
    }

    #[track_caller]
    fn check(before: &str, change: Change, after: &str) {
        assert_eq!(apply("u.toml", before, &device("AA:01"), &change).as_deref(), Ok(after));
    }

    fn limit(min: i32, max: i32) -> Change {
        let change = OutputChange::Limit(Some(Range::new(min, max)));
        Change::Output { feature: 0, kind: OutputKind::Vibrate, change }
    }

    #[test]
    fn an_empty_file_gets_an_entry() {
        check(
            "",
            Change::Rename(Some("Mine".into())),
            "[[device]]\nwhich = { address = \"AA:01\" }\nname = \"Mine\"\n",
        );
    }

    #[test]
    fn comments_and_other_entries_stay() {
        check(
            "# mine\n[[device]] # first\nwhich = { address = 'aa:01' } # the old one\nname = 'a' # name\n\n[[device]]\nwhich = { protocol = 'x' }\ndeny = true\n",
            Change::Rename(Some("b".into())),
            "# mine\n[[device]] # first\nwhich = { address = 'aa:01' } # the old one\nname = \"b\" # name\n\n[[device]]\nwhich = { protocol = 'x' }\ndeny = true\n",
        );
    }

    #[test]
    fn a_limit_is_added_changed_and_lifted() {
        let entry = "[[device]]\nwhich = { address = \"AA:01\" }\n";
        let limited = format!("{entry}outputs = [{{ feature = 0, kind = \"vibrate\", range = [0, 10] }}]\n");
        check(entry, limit(0, 10), &limited);
        let lower = limited.replace("10]", "5]");
        check(&limited, limit(0, 5), &lower);
        let lifted =
            Change::Output { feature: 0, kind: OutputKind::Vibrate, change: OutputChange::Limit(None) };
        check(&limited, lifted.clone(), "");
        check("", lifted.clone(), "");
        let two = format!(
            "{entry}outputs = [{{ feature = 0, kind = \"vibrate\", range = [0, 10] }}, {{ feature = 1, kind = \"vibrate\", range = [0, 3] }}]\n"
        );
        let one = format!("{entry}outputs = [{{ feature = 1, kind = \"vibrate\", range = [0, 3] }}]\n");
        check(&two, lifted.clone(), &one);
        let tables = format!("{entry}[[device.outputs]]\nfeature = 0\nkind = \"vibrate\"\nrange = [0, 9]\n");
        check(&tables, lifted, "");
    }

    #[test]
    fn an_entry_that_says_nothing_any_more_goes_and_one_with_a_comment_stays() {
        let entry = "[[device]]\nwhich = { address = \"AA:01\" }\n";
        let other = "[[device]]\nwhich = { protocol = 'x' }\ndeny = true\n";
        let unnamed = || Change::Rename(None);
        check(&format!("{entry}name = \"a\"\n\n{other}"), unnamed(), other);
        check(&format!("{other}\n{entry}name = \"a\"\n"), unnamed(), other);
        check(&format!("# mine\n{entry}name = \"a\"\n"), unnamed(), &format!("# mine\n{entry}"));
        check(&format!("{other}# more to come\n"), unnamed(), &format!("{other}# more to come\n"));
    }

    #[test]
    fn a_limit_in_a_table_of_its_own_is_found() {
        let before = "[[device]]\nwhich = { address = \"AA:01\" }\n[[device.outputs]]\nfeature = 0\nkind = \"vibrate\"\nrange = [0, 9] # gentle\n";
        check(before, limit(0, 3), &before.replace('9', "3"));
    }

    #[test]
    fn a_denial_leaves_the_list_of_allowed_devices_as_it_is() {
        let entry = "[[device]]\nwhich = { address = \"AA:01\" }\n";
        let denied = format!("{entry}deny = true\n");
        let allowed = format!("{entry}allow = true\n");
        let both = format!("{allowed}deny = true\n");
        check(entry, Change::Access(AccessWish::Deny), &denied);
        check(&denied, Change::Access(AccessWish::Allow), &allowed);
        check(&denied, Change::Access(AccessWish::Unsaid), "");
        check(&allowed, Change::Access(AccessWish::Deny), &both);
        check(&both, Change::Access(AccessWish::NotDenied), &allowed);
        check(&both, Change::Access(AccessWish::Unsaid), "");
    }

    #[test]
    fn a_new_entry_comes_last() {
        check(
            "[[device]]\nwhich = { protocol = 'x' }\ndeny = true\n",
            Change::Index(Some(4)),
            "[[device]]\nwhich = { protocol = 'x' }\ndeny = true\n\n[[device]]\nwhich = { address = \"AA:01\" }\nindex = 4\n",
        );
    }

    #[test]
    fn a_comment_at_the_end_stays_above_a_new_entry() {
        check(
            "# mine\n",
            Change::Index(Some(4)),
            "# mine\n\n[[device]]\nwhich = { address = \"AA:01\" }\nindex = 4\n",
        );
        check(
            "[[device]]\nwhich = { protocol = 'x' }\n# more to come\n",
            Change::Index(Some(4)),
            "[[device]]\nwhich = { protocol = 'x' }\n# more to come\n\n[[device]]\nwhich = { address = \"AA:01\" }\nindex = 4\n",
        );
    }

    #[test]
    fn a_broken_file_and_a_broken_change_are_refused() {
        let broken = "[[device]]\nwhich = { adress = 'AA:01' }\n";
        let before = apply("u.toml", broken, &device("AA:01"), &Change::Index(None));
        assert!(matches!(before, Err(EditError::BrokenBefore(problem)) if problem.line == Some(2)));
        let after = apply("u.toml", "", &device("AA:01"), &limit(-3, 5));
        assert!(
            matches!(after, Err(EditError::Refused(problem)) if problem.key == "device[0].outputs[0].range")
        );
    }
}
