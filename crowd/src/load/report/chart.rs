//! The charts, as SVG that takes its colours from the page.

use std::fmt::Write as _;
use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::load::tally::{Latencies, Tally};
use crate::load::timeline::Slice;

const TEXT: RGBColor = RGBColor(0x6a, 0x62, 0x59);
const LINE: RGBColor = RGBColor(0xe4, 0xdd, 0xd2);
const DUE: RGBColor = RGBColor(0xa8, 0x9f, 0x93);
const FIRST: RGBColor = RGBColor(0xcb, 0x3a, 0x16);
const SECOND: RGBColor = RGBColor(0x0f, 0x76, 0x6e);

/// Which variable of the page stands for which colour.
const VARIABLES: [(RGBColor, &str); 5] =
    [(TEXT, "--muted"), (LINE, "--line"), (DUE, "--due"), (FIRST, "--first"), (SECOND, "--second")];

/// The most nines that are drawn: 99.999 %.
const NINES: i32 = 5;

/// The most points of a line over time: of more than these, noise is all that is seen.
const POINTS: usize = 120;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// An axis whose marks are the whole numbers.
struct Whole(Range<f64>);

impl Ranged for Whole {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.0.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        (self.0.start.ceil() as i32..=self.0.end.floor() as i32).map(f64::from).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

/// How large a chart is drawn.
#[derive(Clone, Copy)]
pub(super) struct Size {
    width: u32,
    height: u32,
    /// Of the text, in pixels.
    text: u32,
    x_labels: usize,
}

/// Beside other things, on a desk.
pub(super) const DESK: Size = Size { width: 960, height: 300, text: 15, x_labels: 10 };
/// On a phone.
pub(super) const PHONE: Size = Size { width: 400, height: 280, text: 15, x_labels: 4 };

/// Rules that give each colour of a chart to its variable.
pub(super) fn colours() -> String {
    let mut rules = String::new();
    for (RGBColor(red, green, blue), variable) in VARIABLES {
        for property in ["fill", "stroke"] {
            let colour = format!("#{red:02X}{green:02X}{blue:02X}");
            writeln!(rules, "svg [{property}=\"{colour}\"] {{ {property}: var({variable}); }}")
                .expect("a string takes all that is written to it");
        }
    }
    rules
}

/// What happened when.
pub(super) fn timeline(tally: &Tally, size: Size) -> String {
    drawn(size, |area| {
        let timeline = tally.timeline.of_at_most(POINTS);
        let width = timeline.width().as_secs_f64();
        let slices = timeline.slices();
        let end = width * slices.len().max(1) as f64;
        let points = |count: fn(&Slice) -> u64| -> Vec<(f64, f64)> {
            let middles = slices
                .iter()
                .enumerate()
                .map(|(index, slice)| ((index as f64 + 0.5) * width, count(slice) as f64 / width));
            std::iter::once((0.0, 0.0)).chain(middles).collect()
        };
        let [due, answered, finals] =
            [points(|it| it.due), points(|it| it.answered), points(|it| it.finals)];
        let highest = [&due, &answered, &finals].into_iter().flatten().map(|(_, rate)| *rate);
        let top = highest.fold(1.0, f64::max) * 1.08;
        let mut chart = frame(area, size).build_cartesian_2d(0.0..end, 0.0..top)?;
        let text = ("sans-serif", size.text).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(size.x_labels)
            .y_labels(5)
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINE)
            .axis_style(LINE)
            .label_style(text)
            .x_label_formatter(&|at| format!("{} s", round(*at)))
            .y_label_formatter(&|rate| thousands(*rate))
            .draw()?;
        let last = due.last().map_or(0.0, |(at, _)| *at);
        let under = due.iter().copied().chain([(last, 0.0)]).collect::<Vec<_>>();
        chart.draw_series([Polygon::new(under, DUE.mix(0.25))])?;
        chart.draw_series(LineSeries::new(due, DUE.stroke_width(1)))?;
        chart.draw_series(LineSeries::new(finals, SECOND.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(answered, FIRST.stroke_width(2)))?;
        Ok(())
    })
}

/// What share of the buyers waited how long.
pub(super) fn percentiles(tally: &Tally, size: Size) -> String {
    drawn(size, |area| {
        let stages = [(&tally.answered, FIRST), (&tally.known, SECOND)];
        let stages: Vec<_> = stages.into_iter().filter(|(stage, _)| !stage.is_empty()).collect();
        let shortest = stages.iter().map(|(stage, _)| exponent(stage, 0.0));
        let bottom = shortest.fold(f64::INFINITY, f64::min).min(3.0).floor();
        let longest = stages.iter().map(|(stage, _)| exponent(stage, 100.0));
        let top = longest.fold(bottom + 1.0, f64::max).ceil();
        let most = stages.iter().map(|(stage, _)| nines(stage)).fold(2.0, f64::max).ceil();
        let nines = Whole(0.0..most);
        let mut chart = frame(area, size).build_cartesian_2d(nines, Whole(bottom..top))?;
        let text = ("sans-serif", size.text).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINE)
            .axis_style(LINE)
            .label_style(text)
            .x_label_formatter(&|nines| percent(*nines))
            .y_label_formatter(&|exponent| decade(*exponent))
            .draw()?;
        for (stage, colour) in stages {
            chart.draw_series(LineSeries::new(curve(stage), colour.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// The percentiles of a stage over the nines of their share, as far as there are enough buyers.
fn curve(stage: &Latencies) -> Vec<(f64, f64)> {
    const STEPS: i32 = 20;
    let steps = (0..=NINES * STEPS).map(|step| f64::from(step) / f64::from(STEPS));
    let steps = steps.take_while(|step| *step <= nines(stage));
    steps.map(|nines| (nines, exponent(stage, 100.0 - 100.0 / 10_f64.powf(nines)))).collect()
}

/// How many nines a stage has buyers enough for.
fn nines(stage: &Latencies) -> f64 {
    (stage.len().max(1) as f64).log10().min(f64::from(NINES))
}

/// The decimal exponent of a percentile in ms.
fn exponent(stage: &Latencies, percent: f64) -> f64 {
    (stage.percentile(percent).as_secs_f64() * 1000.0).max(0.001).log10()
}

/// Such as `10 ms`, of the decimal exponent in ms.
fn decade(exponent: f64) -> String {
    let exponent = exponent.round() as i32;
    if exponent < 3 {
        format!("{} ms", 10_f64.powi(exponent))
    } else {
        format!("{} s", 10_f64.powi(exponent - 3))
    }
}

fn percent(nines: f64) -> String {
    match nines.round() as i32 {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{:9<width$} %", "", width = (more - 2) as usize),
    }
}

fn round(value: f64) -> String {
    if value.fract().abs() < 1e-6 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn thousands(value: f64) -> String {
    if value >= 1000.0 { format!("{}k", round(value / 1000.0)) } else { round(value) }
}

fn frame<'a, 'b>(
    area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    size: Size,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(8).margin_right(size.text * 2).x_label_area_size(size.text * 2);
    chart.y_label_area_size(size.text * 9 / 2);
    chart
}

fn drawn(
    size: Size,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn,
) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (size.width, size.height)).into_drawing_area();
    draw(&area).and_then(|()| Ok(area.present()?)).expect("a string takes all that is drawn");
    drop(area);
    svg
}
