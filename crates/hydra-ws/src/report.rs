//! Reports: what became of a request, merged over its ingestors (hydra.md 3.3, 5.2).

use std::sync::Arc;

use crate::json::{write_number, write_string};
use crate::options::{Dialect, Options};
use crate::request::Id;
use crate::status::{State, nobody_in_time, reason};

/// Why a request reached no ingestor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// No ingestor has the name that it is for.
    Unknown(Box<str>),
    /// There is no ingestor at all.
    NoneRegistered,
}

/// A request under way, and what its ingestors have said. Sans-I/O: whoever drives it says when
/// one has answered, or when time is up.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    id: Id,
    nobody: Option<Nobody>,
    /// With their places in the list of names.
    states: States,
    out_of_time: bool,
}

/// Most requests have one ingestor.
#[derive(Clone, Debug)]
enum States {
    None,
    One(u16, State),
    Many(Vec<(u16, State)>),
}

impl States {
    fn as_slice(&self) -> impl Iterator<Item = (u16, &State)> {
        let (one, many) = match self {
            Self::None => (None, [].as_slice()),
            Self::One(name, state) => (Some((*name, state)), [].as_slice()),
            Self::Many(many) => (None, many.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|(name, state)| (*name, state)))
    }

    fn for_each(&mut self, mut change: impl FnMut(u16, &mut State)) {
        match self {
            Self::None => {}
            Self::One(name, state) => change(*name, state),
            Self::Many(many) => many.iter_mut().for_each(|(name, state)| change(*name, state)),
        }
    }
}

impl Round {
    pub(crate) const fn new(id: Id) -> Self {
        Self { id, nobody: None, states: States::None, out_of_time: false }
    }

    pub(crate) fn nobody(&mut self, why: Nobody) {
        self.nobody = Some(why);
    }

    /// An ingestor joined, with what is known of it already.
    pub(crate) fn join(&mut self, name: u16, state: State) {
        self.states = match std::mem::replace(&mut self.states, States::None) {
            States::None => States::One(name, state),
            States::One(first, other) => States::Many(vec![(first, other), (name, state)]),
            States::Many(mut many) => {
                many.push((name, state));
                States::Many(many)
            }
        };
    }

    /// An ingestor has answered. What comes twice, or late, changes nothing.
    pub(crate) fn answer(&mut self, name: u16, answer: State) {
        let mut answer = Some(answer);
        self.states.for_each(|have, state| {
            if have == name
                && state.is_open()
                && let Some(answer) = answer.take()
            {
                *state = answer;
            }
        });
    }

    pub(crate) fn is_open(&self) -> bool {
        self.states.as_slice().any(|(_, state)| state.is_open())
    }

    /// Whoever has not answered has not done so in time.
    pub(crate) fn time_is_up(&mut self) {
        self.states.for_each(|_, state| {
            if state.is_open() {
                *state = State::TimedOut;
            }
        });
        self.out_of_time = true;
    }

    /// Everything in one code (hydra.md 5.2).
    pub(crate) fn code(&self, options: &Options) -> u16 {
        match &self.nobody {
            Some(Nobody::Unknown(_)) => return 404,
            Some(Nobody::NoneRegistered) => return 400,
            None => {}
        }
        if self.out_of_time {
            return 408;
        }
        if options.is_head() && matches!(self.states, States::None) {
            return 404;
        }
        let codes = self.states.as_slice().map(|(_, state)| match state {
            State::Completed => 200,
            state => state.code_and_text(options).0,
        });
        codes.fold(200, u16::max)
    }

    /// The text of that code.
    pub(crate) fn text(&self, options: &Options) -> std::borrow::Cow<'static, str> {
        match &self.nobody {
            Some(Nobody::Unknown(name)) => {
                return format!("No ingestor named {name} was found in the registry.").into();
            }
            _ if self.out_of_time => return nobody_in_time(options.ingest_timeout).into(),
            None if options.is_head() && matches!(self.states, States::None) => {
                return "No ingestors joined this request.".into();
            }
            _ => {}
        }
        reason(self.code(options)).into()
    }

    /// The one ingestor, if there is one and it has completed the request. The reports of such
    /// requests differ in their ids alone.
    pub(crate) fn completed_by_one(&self) -> Option<u16> {
        match self.states {
            States::One(name, State::Completed) if !self.out_of_time => Some(name),
            _ => None,
        }
    }

    /// Appends the beginning of the report, as a dialect writes it: up to the id.
    pub(crate) fn write_id(&self, options: &Options, out: &mut Vec<u8>) {
        let head = options.dialect == Dialect::Head;
        out.extend_from_slice(if head { b"{\"correlationId\":" } else { b"{\"requestId\":" });
        write_string(self.id.as_str(), out);
    }

    /// Appends what is behind the id.
    pub(crate) fn write_rest(&self, names: &[Arc<str>], options: &Options, out: &mut Vec<u8>) {
        let head = options.dialect == Dialect::Head;
        if !head {
            out.extend_from_slice(b",\"status\":{\"code\":");
            write_number(self.code(options), out);
            let seed = options.dialect == Dialect::Seed;
            out.extend_from_slice(if seed { b",\"reason\":" } else { b",\"message\":" });
            write_string(&self.text(options), out);
            out.push(b'}');
        }
        if head || !matches!(self.states, States::None) {
            out.extend_from_slice(b",\"ingestors\":{");
            self.write_ingestors(names, out, |state, out| {
                let (code, text) = state.code_and_text(options);
                out.extend_from_slice(b"{\"code\":");
                write_number(code, out);
                out.extend_from_slice(b",\"message\":");
                write_string(&text, out);
                out.push(b'}');
            });
            out.push(b'}');
        }
        out.push(b'}');
    }

    /// Appends the short form that HTTP clients can ask for: codes alone, no id, no status.
    pub(crate) fn write_simple(&self, names: &[Arc<str>], options: &Options, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"ingestors\":{");
        self.write_ingestors(names, out, |state, out| {
            write_number(state.code_and_text(options).0, out);
        });
        out.extend_from_slice(b"}}");
    }

    fn write_ingestors(
        &self,
        names: &[Arc<str>],
        out: &mut Vec<u8>,
        value: impl Fn(&State, &mut Vec<u8>),
    ) {
        for (place, (name, state)) in self.states.as_slice().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_string(names.get(usize::from(name)).map_or("", |name| name), out);
            out.push(b':');
            value(state, out);
        }
    }
}
