//! A template that was read: every text has become bytes, values and conditions that cannot be malformed.
//!
//! Whether it suits a model is the business of `check`, running it that of `running`.

use crate::context::{Context, fault, time};
use crate::error::{Fault, TemplateError};
use crate::expression::Expression;
use crate::expression_text::Place;
use crate::kind::{InputKind, OutputKind};
use crate::matching::Matching;
use crate::pattern::Pattern;
use crate::select::Select;
use crate::source::{
    self, HandOver, IdentifierForm, KeepAlive, KeepAliveWord, Manufacturer, NoIdentifier, Template,
};
use crate::steps::{self, Response, Step};

/// Why a step of identification may not ask for the model.
const NO_MODEL: &str = "the model is not known yet: only `endpoint` may choose, and nothing is at rest";
/// How long a notification for a single reading may take where the template is silent.
const READING_MS: u32 = 1000;
/// A protocol written as data, ready to be checked and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub(crate) identify: Option<Identify>,
    pub(crate) start: Vec<Step>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) keep_alive: Repeat,
    pub(crate) stop: Vec<Write>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identify {
    pub(crate) manufacturer: Option<Manufacturer>,
    pub(crate) steps: Vec<Step>,
    pub(crate) slice: Option<[usize; 2]>,
    pub(crate) form: IdentifierForm,
    pub(crate) after: Vec<char>,
    pub(crate) before: Vec<char>,
    pub(crate) otherwise: NoIdentifier,
    pub(crate) hand_over: Option<HandOver>,
}

/// A packet that carries outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) key: String,
    pub(crate) select: Select,
    pub(crate) features: Vec<u32>,
    pub(crate) kinds: Vec<OutputKind>,
    pub(crate) to: String,
    pub(crate) response: Response,
    pub(crate) condition: Option<Expression>,
    pub(crate) bytes: Pattern,
    pub(crate) rest: Option<Pattern>,
    pub(crate) after_ms: Option<u32>,
    pub(crate) made: Made,
}

/// How often a packet is made for one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// Once for each changed output: it uses `v` or the like.
    ForEach,
    /// Once for all changed outputs.
    Once,
}

/// A packet without outputs of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) key: String,
    pub(crate) to: String,
    pub(crate) response: Response,
    pub(crate) bytes: Pattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The last packet, which the host does by itself.
    Last,
    /// Every packet whose outputs were ever set.
    All,
    /// These.
    Packets(Vec<Write>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) key: String,
    pub(crate) kind: InputKind,
    pub(crate) select: Select,
    pub(crate) features: Vec<u32>,
    pub(crate) read: Option<String>,
    pub(crate) notify: Option<String>,
    pub(crate) request: Option<Write>,
    pub(crate) within_ms: u32,
    pub(crate) matching: Matching,
    pub(crate) length: Option<usize>,
    pub(crate) value: Expression,
}

impl Packet {
    /// Whether it carries this output, of a model that it is meant for.
    pub(crate) fn carries(&self, feature: u32, kind: OutputKind) -> bool {
        (self.features.is_empty() || self.features.contains(&feature))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

impl Input {
    pub(crate) fn tells(&self, feature: u32, kind: InputKind) -> bool {
        self.kind == kind && (self.features.is_empty() || self.features.contains(&feature))
    }

    /// The value in these bytes, if they are such a reading.
    pub(crate) fn reading(&self, received: &[u8]) -> Option<i32> {
        if self.length.is_some_and(|length| length != received.len()) || !self.matching.begins(received) {
            return None;
        }
        let scope = crate::expression::Scope {
            outputs: &[],
            members: &[],
            current: None,
            seq: 0,
            done: &[],
            received,
        };
        self.value.value(&scope).ok().and_then(|value| i32::try_from(value).ok())
    }
}

impl Program {
    /// Reads a template from the JSON text that the host hands over as param `template`.
    ///
    /// # Errors
    /// What is wrong, with the key and the column.
    pub fn from_json(json: &str) -> Result<Self, TemplateError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        Self::read(&serde_path_to_error::deserialize(&mut reader).map_err(|error| shape(&error))?)
    }

    /// Reads a template from a value, as a definition file gives it.
    ///
    /// # Errors
    /// What is wrong, with the key and the column.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, TemplateError> {
        Self::read(&serde_path_to_error::deserialize(value).map_err(|error| shape(&error))?)
    }

    /// Reads a template whose shape is right already.
    ///
    /// # Errors
    /// What is wrong, with the key and the column.
    pub fn read(template: &Template) -> Result<Self, TemplateError> {
        let context = Context::of(template)?;
        let identify =
            template.identify.as_ref().map(|identify| read_identify(&context, identify)).transpose()?;
        let start = context.list("start", &template.start, |key, step| steps::read(&context, key, step))?;
        let packets =
            context.list("packet", &template.packet, |key, packet| read_packet(&context, key, packet))?;
        let inputs = context.list("input", &template.input, |key, input| read_input(&context, key, input))?;
        let keep_alive = match &template.keep_alive {
            None | Some(KeepAlive::Word(KeepAliveWord::Last)) => Repeat::Last,
            Some(KeepAlive::Word(KeepAliveWord::All)) => Repeat::All,
            Some(KeepAlive::Packets(writes)) => {
                Repeat::Packets(context.list("keep_alive", writes, |key, write| {
                    read_write(&context, key, write, Place::Packet)
                })?)
            }
        };
        let stop = context
            .list("stop", &template.stop, |key, write| read_write(&context, key, write, Place::Packet))?;
        Ok(Self { identify, start, packets, inputs, keep_alive, stop })
    }
}

fn shape<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> TemplateError {
    let path = error.path().to_string();
    let key = if path == "." { String::from("template") } else { path };
    TemplateError { key, column: None, fault: Fault::Shape(error.inner().to_string()) }
}

fn read_identify(context: &Context, identify: &source::Identify) -> Result<Identify, TemplateError> {
    let steps = context.list("identify.steps", &identify.steps, |key, step| {
        let step = steps::read(context, key, step)?;
        if step.needs_model() {
            return Err(fault(&step.key, Fault::Shape(String::from(NO_MODEL))));
        }
        Ok(step)
    })?;
    if !steps.is_empty() && !steps.iter().any(Step::yields) {
        return Err(fault(
            "identify.steps",
            Fault::Shape(String::from("no `read` and no `wait_for` among them")),
        ));
    }
    if identify.slice.is_some_and(|[first, last]| first > last) {
        return Err(fault("identify.slice", Fault::Shape(String::from("the last byte is before the first"))));
    }
    for (key, ends) in [("identify.after", &identify.after), ("identify.before", &identify.before)] {
        if ends.as_deref() == Some("") {
            return Err(fault(key, Fault::Empty));
        }
    }
    Ok(Identify {
        manufacturer: identify.manufacturer.clone(),
        steps,
        slice: identify.slice,
        form: identify.form.unwrap_or_default(),
        after: identify.after.as_deref().unwrap_or_default().chars().collect(),
        before: identify.before.as_deref().unwrap_or_default().chars().collect(),
        otherwise: identify.otherwise.unwrap_or_default(),
        hand_over: identify.hand_over.clone(),
    })
}

fn read_packet(context: &Context, key: String, packet: &source::Packet) -> Result<Packet, TemplateError> {
    let bytes = context.pattern(&format!("{key}.bytes"), &packet.bytes, Place::Packet)?;
    let rest_key = format!("{key}.rest");
    let rest =
        packet.rest.as_deref().map(|rest| context.pattern(&rest_key, rest, Place::Packet)).transpose()?;
    let if_key = format!("{key}.if");
    let condition = packet.condition.as_deref();
    let condition = condition.map(|text| context.expression(&if_key, text, Place::Condition)).transpose()?;
    if bytes.is_empty() {
        return Err(fault(&format!("{key}.bytes"), Fault::Empty));
    }
    let for_each = bytes.needs_output()
        || rest.as_ref().is_some_and(Pattern::needs_output)
        || condition.as_ref().is_some_and(Expression::needs_output);
    let after_ms = packet.after_ms.map(|after_ms| time(&format!("{key}.after_ms"), after_ms)).transpose()?;
    Ok(Packet {
        select: Select::read(&key, packet.when.as_ref(), packet.unless.as_ref())?,
        features: packet.features.clone(),
        kinds: packet.kinds.clone(),
        to: packet.to.clone(),
        response: Response::from(packet.response),
        condition,
        bytes,
        rest,
        after_ms,
        made: if for_each { Made::ForEach } else { Made::Once },
        key,
    })
}

fn read_write(
    context: &Context,
    key: String,
    write: &source::Write,
    place: Place,
) -> Result<Write, TemplateError> {
    let bytes_key = format!("{key}.bytes");
    let bytes = context.pattern(&bytes_key, &write.bytes, place)?;
    if bytes.is_empty() {
        return Err(fault(&bytes_key, Fault::Empty));
    }
    if bytes.needs_output() {
        return Err(fault(&bytes_key, Fault::NotHere(String::from("v, p, d, i or is()"))));
    }
    Ok(Write { key, to: write.to.clone(), response: Response::from(write.response), bytes })
}

fn read_input(context: &Context, key: String, input: &source::Input) -> Result<Input, TemplateError> {
    let wrong = |what: &str| Err(fault(&key, Fault::Shape(String::from(what))));
    if input.read.is_none() && input.notify.is_none() {
        return wrong("neither `read` nor `notify`");
    }
    if input.notify.is_none() && (input.request.is_some() || input.within_ms.is_some()) {
        return wrong("`request` and `within_ms` need `notify`");
    }
    let request_key = format!("{key}.request");
    let request = input.request.as_ref();
    let request = request.map(|write| read_write(context, request_key, write, Place::Fixed)).transpose()?;
    let value = input.value.as_deref().unwrap_or("u8(0)");
    Ok(Input {
        kind: input.kind,
        select: Select::read(&key, input.when.as_ref(), input.unless.as_ref())?,
        features: input.features.clone(),
        read: input.read.clone(),
        notify: input.notify.clone(),
        request,
        within_ms: time(&format!("{key}.within_ms"), input.within_ms.unwrap_or(READING_MS))?.max(1),
        matching: context.matching(&format!("{key}.match"), input.pattern.as_deref())?,
        length: input.length,
        value: context.expression(&format!("{key}.value"), value, Place::Received)?,
        key,
    })
}
