//! Steps of a bring-up: what each does, read from its keys.
//!
//! Taking them one after another is the business of `bring_up`.

use crate::context::{Context, fault, time};
use crate::error::{Fault, TemplateError};
use crate::expression_text::Place;
use crate::matching::Matching;
use crate::pattern::Pattern;
use crate::select::Select;
use crate::source::{self, Otherwise, SendWord};

/// How often a packet may be written while no answer comes.
const MAX_TRIES: u32 = 100;

/// Whether the device is to confirm a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    Wanted,
    NotWanted,
}

impl From<bool> for Response {
    fn from(response: bool) -> Self {
        if response { Self::Wanted } else { Self::NotWanted }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) key: String,
    pub(crate) select: Select,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Write { to: String, response: Response, bytes: Pattern, tries: u32, answer: Option<Answer> },
    Wait(Answer),
    Subscribe(String),
    Unsubscribe(String),
    Read { from: String, matching: Matching, otherwise: Otherwise },
    Pause { for_ms: u32 },
    Rest,
}

/// A notification that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) from: String,
    pub(crate) matching: Matching,
    pub(crate) within_ms: Option<u32>,
    pub(crate) otherwise: Otherwise,
}

impl Step {
    /// Whether it brings bytes.
    pub(crate) fn yields(&self) -> bool {
        match &self.action {
            Action::Write { answer, .. } => answer.is_some(),
            Action::Wait(_) | Action::Read { .. } => true,
            Action::Subscribe(_) | Action::Unsubscribe(_) | Action::Pause { .. } | Action::Rest => false,
        }
    }

    pub(crate) fn needs_model(&self) -> bool {
        self.select.needs_model() || self.action == Action::Rest
    }

    /// The endpoints that it uses.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match &self.action {
            Action::Write { to, answer, .. } => (Some(to), answer.as_ref().map(|answer| &answer.from)),
            Action::Subscribe(endpoint)
            | Action::Unsubscribe(endpoint)
            | Action::Read { from: endpoint, .. } => (Some(endpoint), None),
            Action::Wait(answer) => (Some(&answer.from), None),
            Action::Pause { .. } | Action::Rest => (None, None),
        };
        first.into_iter().chain(second).map(String::as_str)
    }
}

/// Reads one step.
pub(crate) fn read(context: &Context, key: String, step: &source::Step) -> Result<Step, TemplateError> {
    let select = Select::read(&key, step.when.as_ref(), step.unless.as_ref())?;
    only_what_belongs(&key, step)?;
    let action = if let Some(to) = &step.write {
        write(context, &key, step, to)?
    } else if let Some(endpoint) = &step.subscribe {
        Action::Subscribe(endpoint.clone())
    } else if let Some(endpoint) = &step.unsubscribe {
        Action::Unsubscribe(endpoint.clone())
    } else if let Some(from) = &step.read {
        let matching = context.matching(&format!("{key}.match"), step.pattern.as_deref())?;
        Action::Read { from: from.clone(), matching, otherwise: step.otherwise.unwrap_or_default() }
    } else if let Some(for_ms) = step.wait_ms {
        Action::Pause { for_ms: time(&format!("{key}.wait_ms"), for_ms)? }
    } else if let Some(from) = &step.wait_for {
        Action::Wait(answer(context, &key, step, from)?)
    } else {
        match step.send {
            Some(SendWord::Rest) => Action::Rest,
            None => {
                return Err(wrong(
                    &key,
                    "nothing to do: no write, subscribe, read, wait_for, wait_ms or send",
                ));
            }
        }
    };
    Ok(Step { key, select, action })
}

fn write(context: &Context, key: &str, step: &source::Step, to: &str) -> Result<Action, TemplateError> {
    let bytes_key = format!("{key}.bytes");
    let bytes = step.bytes.as_deref().ok_or_else(|| wrong(key, "`write` needs `bytes`"))?;
    let bytes = context.pattern(&bytes_key, bytes, Place::Fixed)?;
    if bytes.is_empty() {
        return Err(fault(&bytes_key, Fault::Empty));
    }
    let tries = step.tries.unwrap_or(1);
    if !(1..=MAX_TRIES).contains(&tries) {
        return Err(wrong(key, "`tries` is a number from 1 to 100"));
    }
    let answer = step.wait_for.as_deref().map(|from| answer(context, key, step, from)).transpose()?;
    if tries > 1 && answer.as_ref().is_none_or(|answer| answer.within_ms.is_none()) {
        return Err(wrong(key, "`tries` needs `wait_for` and `within_ms`"));
    }
    let response = Response::from(step.response.unwrap_or_default());
    Ok(Action::Write { to: String::from(to), response, bytes, tries, answer })
}

fn answer(context: &Context, key: &str, step: &source::Step, from: &str) -> Result<Answer, TemplateError> {
    Ok(Answer {
        from: String::from(from),
        matching: context.matching(&format!("{key}.match"), step.pattern.as_deref())?,
        within_ms: step
            .within_ms
            .map(|within_ms| time(&format!("{key}.within_ms"), within_ms))
            .transpose()?,
        otherwise: step.otherwise.unwrap_or_default(),
    })
}

/// One thing to do, and no key that would be ignored.
fn only_what_belongs(key: &str, step: &source::Step) -> Result<(), TemplateError> {
    let doing = [
        step.write.is_some(),
        step.subscribe.is_some(),
        step.unsubscribe.is_some(),
        step.read.is_some(),
        step.wait_ms.is_some(),
        step.send.is_some(),
        step.wait_for.is_some() && step.write.is_none(),
    ];
    if doing.into_iter().filter(|does| *does).count() > 1 {
        return Err(wrong(key, "a step does one thing"));
    }
    let writes = step.write.is_some();
    let waits = step.wait_for.is_some();
    for (name, given, belongs) in [
        ("bytes", step.bytes.is_some(), writes),
        ("response", step.response.is_some(), writes),
        ("tries", step.tries.is_some(), writes),
        ("within_ms", step.within_ms.is_some(), waits),
        ("match", step.pattern.is_some(), waits || step.read.is_some()),
        ("otherwise", step.otherwise.is_some(), waits || step.read.is_some()),
    ] {
        if given && !belongs {
            return Err(fault(key, Fault::NotHere(String::from(name))));
        }
    }
    Ok(())
}

fn wrong(key: &str, what: &str) -> TemplateError {
    fault(key, Fault::Shape(String::from(what)))
}
