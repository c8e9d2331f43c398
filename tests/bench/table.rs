//! The printed table.

use std::time::Duration;

use crate::measure::Samples;

pub struct Row {
    pub case: String,
    pub times: Samples,
    pub ratio: Option<Ratio>,
    /// It is not inorder.
    pub instead: bool,
}

/// What the times were compared with.
pub struct Ratio {
    pub to: String,
    pub value: f64,
    /// At most this.
    pub wanted: Option<f64>,
}

impl Row {
    pub fn new(case: impl Into<String>, times: &Samples) -> Row {
        Row { case: case.into(), times: times.clone(), ratio: None, instead: false }
    }

    /// Of the second table.
    #[must_use]
    pub fn instead(mut self) -> Row {
        self.instead = true;
        self
    }

    #[must_use]
    pub fn ratio(mut self, to: impl Into<String>, value: f64) -> Row {
        self.ratio = Some(Ratio { to: to.into(), value, wanted: None });
        self
    }

    /// Says what the ratio should be at most.
    #[must_use]
    pub fn wanted(mut self, most: f64) -> Row {
        if let Some(ratio) = &mut self.ratio {
            ratio.wanted = Some(most);
        }
        self
    }

    fn cells(&self) -> [String; 9] {
        let quantile = |share| time(self.times.quantile(share));
        let [to, value, wanted, met] = match &self.ratio {
            None => Default::default(),
            Some(ratio) => {
                let wanted = ratio.wanted.map(|most| format!("<= {most:.2}"));
                let met = ratio.wanted.map(|most| if ratio.value <= most { "yes" } else { "NO" });
                let (wanted, met) = (wanted.unwrap_or_default(), met.unwrap_or_default());
                [ratio.to.clone(), format!("{:.2}", ratio.value), wanted, met.to_owned()]
            }
        };
        let runs = self.times.len().to_string();
        let case = self.case.clone();
        [case, quantile(0.5), quantile(0.1), quantile(0.9), runs, to, value, wanted, met]
    }
}

const HEADS: [&str; 9] =
    ["case", "median", "p10", "p90", "runs", "compared with", "ratio", "wanted", "met"];

/// Columns that read better flush right.
const RIGHT: [bool; 9] = [false, true, true, true, true, false, true, true, false];

pub fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            text += &match RIGHT[column] {
                true => format!("| {cell:>width$} "),
                false => format!("| {cell:<width$} "),
            };
        }
        text += "|\n";
        if at == 0 {
            for (width, right) in widths.iter().zip(RIGHT) {
                let dashes = "-".repeat(width + 1);
                text += &if right { format!("|{dashes}:") } else { format!("|{dashes}-") };
            }
            text += "|\n";
        }
    }
    text
}

fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        0.0..1.0 => format!("{:.0} ns", micros * 1e3),
        1.0..1000.0 => format!("{micros:.1} us"),
        _ => format!("{:.2} ms", micros / 1e3),
    }
}
