//! Reading one key of a template: the names that it may use, the lengths that it may have, and where in it something is wrong.

use std::sync::Arc;

use crate::error::{Fault, TemplateError};
use crate::expression::Expression;
use crate::expression_text::{Names, Parser, Place, may_be_name};
use crate::matching::Matching;
use crate::pattern::Pattern;
use crate::source::Template;
use crate::text::{At, Text};

/// The most packets, inputs, or stop packets of one template.
const MAX_ENTRIES: usize = 64;
/// The longest table.
const MAX_TABLE: usize = 2048;
/// The longest text of a pattern or an expression, in bytes.
const MAX_TEXT: usize = 4096;
/// No limit or delay of a template is longer than ten minutes.
pub(crate) const MAX_MS: u32 = 600_000;

/// What reading a key needs: the names of the template.
pub(crate) struct Context {
    names: Names,
}

impl Context {
    pub(crate) fn of(template: &Template) -> Result<Self, TemplateError> {
        names(template).map(|names| Self { names })
    }

    /// Reads every entry of a list, each under a key of its own.
    pub(crate) fn list<S, T>(
        &self,
        key: &str,
        entries: &[S],
        read: impl Fn(String, &S) -> Result<T, TemplateError>,
    ) -> Result<Vec<T>, TemplateError> {
        if entries.len() > MAX_ENTRIES {
            return Err(fault(key, Fault::TooLong(MAX_ENTRIES)));
        }
        entries.iter().enumerate().map(|(index, entry)| read(format!("{key}[{index}]"), entry)).collect()
    }

    pub(crate) fn pattern(&self, key: &str, whole: &str, place: Place) -> Result<Pattern, TemplateError> {
        not_too_long(key, whole)?;
        Pattern::read(whole, &self.names, place).map_err(|at| located(key, whole, at))
    }

    pub(crate) fn expression(
        &self,
        key: &str,
        whole: &str,
        place: Place,
    ) -> Result<Expression, TemplateError> {
        not_too_long(key, whole)?;
        Parser::new(&self.names, place).whole(whole).map_err(|at| located(key, whole, at))
    }

    pub(crate) fn matching(&self, key: &str, whole: Option<&str>) -> Result<Matching, TemplateError> {
        let Some(whole) = whole else {
            return Ok(Matching::default());
        };
        Matching::read(whole).map_err(|at| located(key, whole, at))
    }
}

pub(crate) fn fault(key: &str, fault: Fault) -> TemplateError {
    TemplateError { key: String::from(key), column: None, fault }
}

fn located(key: &str, whole: &str, (at, fault): At) -> TemplateError {
    TemplateError { key: String::from(key), column: Some(Text::column(whole, at)), fault }
}

fn not_too_long(key: &str, whole: &str) -> Result<(), TemplateError> {
    if whole.len() > MAX_TEXT { Err(fault(key, Fault::TooLong(MAX_TEXT))) } else { Ok(()) }
}

/// A time in milliseconds, within [`MAX_MS`].
pub(crate) fn time(key: &str, after_ms: u32) -> Result<u32, TemplateError> {
    if after_ms > MAX_MS {
        return Err(fault(key, Fault::Shape(format!("{after_ms} ms is longer than {MAX_MS} ms, the most"))));
    }
    Ok(after_ms)
}

fn names(template: &Template) -> Result<Names, TemplateError> {
    let mut names = Names::default();
    for (name, entries) in &template.tables {
        let key = format!("tables.{name}");
        if !may_be_name(name) {
            return Err(fault(&key, Fault::BadName(name.clone())));
        }
        match entries.len() {
            0 => return Err(fault(&key, Fault::Empty)),
            1..=MAX_TABLE => names.tables.insert(name.clone(), Arc::from(entries.as_slice())),
            _ => return Err(fault(&key, Fault::TooLong(MAX_TABLE))),
        };
    }
    if template.names.len() > MAX_ENTRIES {
        return Err(fault("let", Fault::TooLong(MAX_ENTRIES)));
    }
    for (name, expression) in &template.names {
        let key = format!("let.{name}");
        if !may_be_name(name) || names.tables.contains_key(name) {
            return Err(fault(&key, Fault::BadName(name.clone())));
        }
        names.expressions.insert(name.clone(), expression.clone());
    }
    // A name that nothing uses, or that uses itself, is found here rather than never.
    let context = Context { names };
    for (name, expression) in &template.names {
        context.expression(&format!("let.{name}"), expression, Place::Name)?;
    }
    Ok(context.names)
}
