//! The plots, 800 pixels wide.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::published::TABLE;
use crate::report::{Comparison, Row};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome<T> = Result<T, Box<dyn Error>>;

const WIDTH: u32 = 800;
const CHART: i32 = 610;
const FONT: &str = "sans-serif";
/// Colours that colour-blind readers can distinguish, each with its width, dash and gap. The lines of the
/// reference's schedule are wider the earlier they end, because the next ones are drawn over them.
const STYLES: [(RGBColor, u32, (i32, i32)); 8] = [
    (RGBColor(0xcc, 0x79, 0xa7), 2, (1, 0)),
    (RGBColor(0xf0, 0xc2, 0x40), 8, (1, 0)),
    (RGBColor(0x56, 0xb4, 0xe9), 5, (1, 0)),
    (CLASSIC, 2, (1, 0)),
    (RGBColor(0x22, 0x22, 0x22), 2, (3, 3)),
    (EAGER, 2, (9, 5)),
    (RGBColor(0x00, 0x9e, 0x73), 2, (1, 0)),
    (RGBColor(0x7b, 0x3f, 0xa0), 2, (6, 3)),
];
const CLASSIC: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const EAGER: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const READY: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);

/// A line of a plot: sorted figures, as a share of `count`.
struct Line<'a> {
    name: &'a str,
    figures: &'a [f64],
    count: usize,
    colour: RGBColor,
    dash: (i32, i32),
    width: u32,
}

/// Returns the share of sessions whose number has been returned, over the time.
pub(crate) fn time(comparison: &Comparison) -> Outcome<String> {
    let mut lines = lines(comparison, |row| (&row.summary.times, row.summary.runs));
    let count = comparison.rows.first().map_or(1, |row| row.summary.runs);
    let ready = Line {
        name: "readable",
        figures: &comparison.ready,
        count,
        colour: READY,
        dash: (1, 0),
        width: 8,
    };
    lines.insert(0, ready);
    let title = format!("Sessions that have their number ({})", comparison.name);
    cumulative(
        &title,
        "seconds from the start",
        "share of sessions",
        &lines,
    )
}

/// Returns the share of found numbers that were returned within a lag.
pub(crate) fn lag(comparison: &Comparison) -> Outcome<String> {
    let lines = lines(comparison, |row| {
        (&row.summary.lags, row.summary.lags.len())
    });
    let title = format!("Lag: from readable to returned ({})", comparison.name);
    cumulative(&title, "lag in seconds", "share of found numbers", &lines)
}

fn lines<'a>(
    comparison: &'a Comparison,
    figures: impl Fn(&'a Row) -> (&'a [f64], usize),
) -> Vec<Line<'a>> {
    let plotted = comparison.rows.iter().filter(|row| row.is_plotted);
    let lines = plotted
        .zip(STYLES.iter().cycle())
        .map(|(row, (colour, width, dash))| {
            let (figures, count) = figures(row);
            Line {
                name: &row.policy,
                figures,
                count,
                colour: *colour,
                dash: *dash,
                width: *width,
            }
        });
    lines.collect()
}

fn cumulative(title: &str, x: &str, y: &str, lines: &[Line<'_>]) -> Outcome<String> {
    let mut svg = String::new();
    let largest = lines
        .iter()
        .filter_map(|line| line.figures.last())
        .fold(0.1, |a: f64, b| a.max(*b));
    {
        let height = 420.max(60 + 26 * u32::try_from(lines.len())?);
        let root = page(&mut svg, height, title)?;
        let (chart, legend) = root.split_horizontally(CHART);
        let mut chart = ChartBuilder::on(&chart)
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d(-0.01 * largest..1.04 * largest, 0.0..1.03)?;
        chart
            .configure_mesh()
            .x_desc(x)
            .y_desc(y)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 15))
            .light_line_style(WHITE)
            .draw()?;
        for (line, row) in lines.iter().zip(0..) {
            let style = line.colour.stroke_width(line.width);
            let points = steps(line, 1.04 * largest);
            match line.dash {
                (_, 0) => chart.draw_series(LineSeries::new(points, style))?,
                (dash, gap) => {
                    chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?
                }
            };
            let at = 24 + row * 26;
            match line.dash {
                (_, 0) => legend.draw(&PathElement::new([(0, at), (34, at)], style))?,
                (dash, gap) => {
                    let starts = (0..34).step_by(usize::try_from(dash + gap)?);
                    for start in starts {
                        let end = (start + dash).min(34);
                        legend.draw(&PathElement::new([(start, at), (end, at)], style))?;
                    }
                }
            }
            legend.draw(&Text::new(line.name, (42, at - 6), (FONT, 15)))?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// A line that rises at each figure; of many figures, at 400 places.
fn steps(line: &Line<'_>, end: f64) -> Vec<(f64, f64)> {
    let every = end / 400.0;
    let share = |rank: usize| rank as f64 / line.count.max(1) as f64;
    let mut points = vec![(0.0, 0.0)];
    let (mut next, mut height) = (0.0, 0.0);
    for (rank, figure) in line.figures.iter().enumerate() {
        let is_last_of_its_value = line.figures.get(rank + 1) != Some(figure);
        if is_last_of_its_value && (*figure >= next || rank + 1 == line.figures.len()) {
            points.push((*figure, height));
            height = share(rank + 1);
            points.push((*figure, height));
            next = figure + every;
        }
    }
    points.push((end, height));
    points
}

/// Returns the reference's success rates beside the simulated ones.
pub(crate) fn published(simulated: &Comparison) -> Outcome<String> {
    let mut svg = String::new();
    {
        let root = page(
            &mut svg,
            330,
            "Success rates: published by the reference, and simulated",
        )?;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .margin_right(24)
            .margin_bottom(44)
            .x_label_area_size(46)
            .y_label_area_size(160)
            .build_cartesian_2d(0.0..1.0, 0.0..4.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(11)
            .x_desc("success rate")
            .x_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 15))
            .light_line_style(WHITE)
            .draw()?;
        let blue = EAGER;
        for (row, y) in TABLE.iter().zip([3.5, 2.5, 1.5, 0.5]) {
            let success = |policy| {
                simulated
                    .summary(policy)
                    .map(|summary| summary.success.value)
            };
            let [Some(first), Some(last), Some(fitted)] =
                [row.policies[0], row.policies[1], row.fitted.0].map(success)
            else {
                continue;
            };
            let (x, y_label) = chart.backend_coord(&(0.0, y));
            root.draw(&Text::new(
                row.what,
                (x - 152, y_label - 6 - TITLE),
                (FONT, 15),
            ))?;
            let whole = PathElement::new([(first, y), (last, y)], blue.stroke_width(4));
            chart.draw_series([whole])?;
            chart.draw_series([Circle::new((fitted, y), 6, blue.filled())])?;
            let mark = TriangleMarker::new((row.share, y + 0.27), 8, CLASSIC.filled());
            chart.draw_series([mark])?;
        }
        let legend = i32::try_from(root.dim_in_pixel().1)? - 22;
        root.draw(&TriangleMarker::new((172, legend + 2), 8, CLASSIC.filled()))?;
        root.draw(&Text::new("published", (184, legend - 6), (FONT, 15)))?;
        root.draw(&Circle::new((300, legend), 6, blue.filled()))?;
        root.draw(&Text::new(
            "simulated, where fitted",
            (312, legend - 6),
            (FONT, 15),
        ))?;
        root.draw(&PathElement::new(
            [(510, legend), (544, legend)],
            blue.stroke_width(4),
        ))?;
        root.draw(&Text::new(
            "over both ends of the row",
            (552, legend - 6),
            (FONT, 15),
        ))?;
        root.present()?;
    }
    Ok(svg)
}

/// The height of the title.
const TITLE: i32 = 36;

/// Returns an empty page below its title.
fn page<'a>(svg: &'a mut String, height: u32, title: &str) -> Outcome<Area<'a>> {
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title, (14, 12), (FONT, 18, FontStyle::Bold)))?;
    Ok(root.split_vertically(TITLE).1)
}
