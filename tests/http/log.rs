//! Everything that is logged while the tests run.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LOGGED: Mutex<String> = Mutex::new(String::new());

/// Everything logged since [`listen`]; panics when nothing was, because then nobody listened.
pub(crate) fn everything_logged() -> String {
    listen();
    tracing::trace!("a line, so that it is known that lines are heard");
    let logged = LOGGED.lock().expect("no panic").clone();
    assert!(logged.contains("lines are heard"));
    logged
}

/// From here on every log line of this process is kept.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).expect("the only subscriber"));
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Words);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Words);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        Words.write("target", event.metadata().target());
        event.record(&mut Words);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Words;

impl Words {
    fn write(&self, name: &str, text: &str) {
        let mut logged = LOGGED.lock().expect("no panic");
        let _ = writeln!(logged, "{name}={text}");
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field.name(), &format!("{value:?}"));
    }
}
