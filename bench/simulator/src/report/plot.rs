//! Plots of one scenario as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::{Measured, Report, Summary};
use crate::num::{percent, ratio};
use crate::outcome::Outcome;

/// Width and height in pixels.
const SIZE: (u32, u32) = (960, 540);

/// A colour for each configuration in its order: the control grey, the others as in
/// Okabe and Ito's palette, which the colour-blind can tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(110, 110, 110),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(40, 40, 40),
];

const INK: RGBColor = RGBColor(50, 50, 50);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Values of one configuration.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// What stands beside a plot.
struct Words<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    /// Where the curves leave room.
    legend: SeriesLabelPosition,
}

/// Writes all plots of a scenario into `folder`, as `SCENARIO-….svg`.
pub(super) fn all(folder: &Path, scenario: &str, measured: &[Measured]) -> Result<()> {
    let path = |what: &str| folder.join(format!("{scenario}-{what}.svg"));
    let title = |what: &str| format!("{scenario}: {what}");

    let origin = curves(measured, |it| rates(&it.result.totals.origin_series));
    let words = Words {
        title: &title("what the origin sends"),
        x: "time in s",
        y: "Mbit/s, mean of 5 s",
        legend: SeriesLabelPosition::UpperRight,
    };
    lines(&path("origin"), &words, &origin)?;

    let seconds = |it: &Measured, of: fn(&Outcome) -> Option<u32>| {
        let outcomes = it.result.outcomes.iter().filter(|outcome| !outcome.seed);
        distribution(outcomes.filter_map(of).map(|ms| f64::from(ms) / 1000.0).collect())
    };
    let start_up = curves(measured, |it| seconds(it, |outcome| outcome.start_up));
    if start_up.iter().any(|curve| !curve.points.is_empty()) {
        let words = Words {
            title: &title("time until playback begins"),
            x: "seconds from arrival",
            y: "% of viewers",
            legend: SeriesLabelPosition::LowerRight,
        };
        lines(&path("start-up"), &words, &start_up)?;
    }
    let last_byte = curves(measured, |it| seconds(it, |outcome| outcome.last_byte));
    let words = Words {
        title: &title("time to the last byte"),
        x: "seconds from arrival",
        y: "% of viewers",
        legend: SeriesLabelPosition::LowerRight,
    };
    lines(&path("last-byte"), &words, &last_byte)?;

    let shares = curves(measured, |it| lorenz(&it.result.outcomes));
    let uploads: Vec<Curve> = shares.into_iter().filter(|curve| !curve.points.is_empty()).collect();
    if !uploads.is_empty() {
        let words = Words {
            title: &title("who uploads"),
            x: "% of all uplinks, those that give least of theirs first",
            y: "% of all uploaded bytes",
            legend: SeriesLabelPosition::UpperLeft,
        };
        lines(&path("fairness"), &words, &uploads)?;
    }
    offload(&path("offload"), &title("where delivered bytes come from"), measured)
}

/// Writes how what a viewer costs grows from report to report into `folder`, as
/// `growth.svg`.
pub(super) fn growth(folder: &Path, reports: &[Report]) -> Result<()> {
    type Cost = (&'static str, fn(&Summary) -> f64);
    const COSTS: [Cost; 4] = [
        ("server messages", |it| it.per_viewer.server_in + it.per_viewer.server_out),
        ("scheduler calls", |it| it.per_viewer.handles),
        ("commands", |it| it.per_viewer.commands),
        ("connections", |it| it.per_viewer.links),
    ];
    let of = |((name, cost), colour): (Cost, RGBColor)| {
        let costs = reports.iter().filter_map(|report| {
            let swarm = report.configurations.iter().find(|it| it.per_viewer.handles > 0.0)?;
            Some((f64::from(report.viewers).log10(), cost(swarm)))
        });
        let costs: Vec<(f64, f64)> = costs.collect();
        let least = costs.first().map_or(1.0, |(_, cost)| *cost);
        let points = costs.into_iter().map(|(power, cost)| (power, 100.0 * cost / least));
        Curve { name, colour, points: points.collect() }
    };
    let curves: Vec<Curve> = COSTS.into_iter().zip(COLOURS.into_iter().skip(1)).map(of).collect();
    let words = Words {
        title: "what a viewer costs",
        x: "viewers, as a power of ten",
        y: "% of what it costs in the smallest crowd",
        legend: SeriesLabelPosition::LowerRight,
    };
    lines(&folder.join("growth.svg"), &words, &curves)
}

fn curves(measured: &[Measured], points: impl Fn(&Measured) -> Vec<(f64, f64)>) -> Vec<Curve> {
    let colours = COLOURS.into_iter().cycle();
    let of =
        |(it, colour): (&Measured, RGBColor)| Curve { name: it.name, colour, points: points(it) };
    measured.iter().zip(colours).map(of).collect()
}

/// Bytes by second as Mbit/s, averaged over five.
fn rates(series: &[u64]) -> Vec<(f64, f64)> {
    const SPAN: usize = 5;
    let mean = |(n, bytes): (usize, &[u64])| {
        let sum: u64 = bytes.iter().sum();
        let middle = (n * SPAN) as f64 + bytes.len() as f64 / 2.0;
        (middle, sum as f64 * 8e-6 / bytes.len() as f64)
    };
    series.chunks(SPAN).enumerate().map(mean).collect()
}

/// The percentage of values that are no larger, at up to a few hundred of them.
fn distribution(mut values: Vec<f64>) -> Vec<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    let step = (count / 300).max(1);
    let kept = (0..count).filter(|n| n % step == 0 || n + 1 == count);
    let part = |n: usize| (values[n], 100.0 * (n + 1) as f64 / count as f64);
    let mut points: Vec<(f64, f64)> = kept.map(part).collect();
    if let Some((first, _)) = points.first().copied() {
        points.insert(0, (first, 0.0));
    }
    points
}

/// The Lorenz curve of uploads over uplinks; empty if nobody uploads.
fn lorenz(outcomes: &[Outcome]) -> Vec<(f64, f64)> {
    let uploaded: u64 = outcomes.iter().map(|it| it.uploaded).sum();
    let could: u64 = outcomes.iter().map(|it| it.could_upload).sum();
    if uploaded == 0 {
        return Vec::new();
    }
    let mut all: Vec<&Outcome> = outcomes.iter().collect();
    let part = |it: &Outcome| ratio(it.uploaded, it.could_upload);
    all.sort_by(|a, b| part(a).total_cmp(&part(b)));
    let step = (all.len() / 300).max(1);
    let (mut points, mut given, mut had) = (vec![(0.0, 0.0)], 0, 0);
    for (n, it) in all.iter().enumerate() {
        given += it.uploaded;
        had += it.could_upload;
        if n % step == 0 || n + 1 == all.len() {
            points.push((percent(had, could), percent(given, uploaded)));
        }
    }
    points
}

fn lines(path: &Path, words: &Words<'_>, curves: &[Curve]) -> Result<()> {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let most = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(0.0, f64::max).max(1e-3) * 1.03;
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(18)
        .caption(words.title, ("sans-serif", 22).into_font().color(&INK))
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..most(|point| point.0), 0.0..most(|point| point.1))
        .map_err(failed)?;
    mesh(&mut chart, words)?;
    for curve in curves {
        let style = curve.colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), style))
            .map_err(failed)?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    legend(&mut chart, words.legend.clone())?;
    root.present().map_err(failed)
}

/// A bar for each configuration: origin, peers and store in percent. Room is left
/// for the legend.
fn offload(path: &Path, title: &str, measured: &[Measured]) -> Result<()> {
    const PARTS: [(&str, RGBColor); 3] =
        [("origin", COLOURS[0]), ("peers", COLOURS[1]), ("own store", COLOURS[5])];
    let bars = measured.len() as f64;
    let names: Vec<&str> = measured.iter().map(|it| it.name).collect();
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(18)
        .caption(title, ("sans-serif", 22).into_font().color(&INK))
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..bars * 1.16, 0.0..112.0)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_desc("% of delivered bytes")
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .axis_style(INK)
        .draw()
        .map_err(failed)?;
    for (place, (name, colour)) in PARTS.into_iter().enumerate() {
        let bar = |(n, it): (usize, &Measured)| {
            let parts = parts(it);
            let from: f64 = parts[..place].iter().sum();
            let corner = |side: f64, y: f64| (n as f64 + side, y);
            Rectangle::new([corner(0.2, from), corner(0.8, from + parts[place])], colour.filled())
        };
        chart
            .draw_series(measured.iter().enumerate().map(bar))
            .map_err(failed)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], colour.filled()));
    }
    let style = ("sans-serif", 14).into_font().color(&INK);
    for (n, name) in names.iter().enumerate() {
        let label = format!("{name}: {:.1} %", parts(&measured[n])[1]);
        let at = (n as f64 + 0.2, 104.0);
        chart.draw_series([Text::new(label, at, style.clone())]).map_err(failed)?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)?;
    root.present().map_err(failed)
}

/// Percentages of delivered bytes from origin, peers and store.
fn parts(measured: &Measured) -> [f64; 3] {
    let sum = |of: fn(&Outcome) -> u64| measured.result.outcomes.iter().map(of).sum::<u64>();
    let delivered = sum(|it| it.delivered);
    [sum(|it| it.from_origin), sum(|it| it.from_peers), sum(|it| it.from_store)]
        .map(|bytes| percent(bytes, delivered))
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn mesh(chart: &mut Chart<'_, '_>, words: &Words<'_>) -> Result<()> {
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc(words.x)
        .y_desc(words.y)
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .draw()
        .map_err(failed)
}

fn legend<'a>(chart: &mut Chart<'a, 'a>, at: SeriesLabelPosition) -> Result<()> {
    chart
        .configure_series_labels()
        .position(at)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(("sans-serif", 14).into_font().color(&INK))
        .draw()
        .map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a plot cannot be drawn: {error}")
}
