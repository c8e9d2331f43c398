//! What the host warns of, as people read it: a line each, without the time and the place in the source that a log has.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::print::{bad, bold, dim};

pub struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, ansi) = (*event.metadata().level(), to.has_ansi_escapes());
        match (level, ansi) {
            (Level::ERROR, true) => write!(to, "{}: ", bad("error"))?,
            (Level::ERROR, false) => to.write_str("error: ")?,
            (Level::WARN, true) => write!(to, "{}: ", bold("warning"))?,
            (Level::WARN, false) => to.write_str("warning: ")?,
            (_, true) => write!(to, "{} ", dim("…"))?,
            (_, false) => {}
        }
        context.field_format().format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}
