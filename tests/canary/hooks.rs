//! Panics and trace events of the whole process, seen by every witness that asks for them.

use std::any::Any;
use std::fmt::{Debug, Write as _};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::witness::{Surface, Witness};

/// What a callback of a test says when it panics on purpose; not worth a line on the terminal.
pub(crate) const ON_PURPOSE: &str = "a callback gives up on purpose";

static WITNESSES: Mutex<Vec<Witness>> = Mutex::new(Vec::new());

/// Watches from now on, and lets `witness` see it. The hooks themselves are installed once.
pub(crate) fn install(overseer: &Witness) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        watch(overseer);
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            on_panic(info);
            if !said(info.payload()).contains(ON_PURPOSE) {
                previous(info);
            }
        }));
        tracing::subscriber::set_global_default(Recorder::default()).expect("the only subscriber");
    });
}

/// Lets one more witness see panics and trace events.
pub(crate) fn watch(witness: &Witness) {
    WITNESSES.lock().unwrap_or_else(PoisonError::into_inner).push(witness.clone());
}

/// The text of a panic.
pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current().name().unwrap_or("a thread without a name").to_owned();
    let text = format!("{info}\n{info:?}\n{}", said(info.payload()));
    tell(Surface::Panic, &format!("a panic in {thread}"), &text);
}

fn tell(surface: Surface, place: &str, text: &str) {
    let witnesses = WITNESSES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    witnesses.iter().for_each(|witness| witness.look(surface, place, text.as_bytes()));
}

/// Takes every span and every event, at every level.
#[derive(Debug, Default)]
struct Recorder(AtomicU64);

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text::of(attributes.metadata());
        attributes.record(&mut text);
        tell(Surface::Trace, "a span", &text.0);
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        tell(Surface::Trace, "a span", &text.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::of(event.metadata());
        event.record(&mut text);
        let (target, line) = (event.metadata().target(), event.metadata().line().unwrap_or(0));
        tell(Surface::Trace, &format!("an event of {target}, line {line},"), &text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self(format!("{metadata:?}"))
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?} {value:#?}").expect("a string takes everything");
    }
}
