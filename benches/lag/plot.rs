//! The plot: for each method, the share of runs that had the number by a time in milliseconds.

use std::fmt::Write as _;

use crate::figures::{Summary, sorted};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 360.0;
/// Colours that colour-blind readers can distinguish; each line has its own dashes too.
const STYLES: [(&str, &str); 4] = [
    ("#d55e00", "none"),
    ("#0072b2", "9 4"),
    ("#cc79a7", "5 3"),
    ("#009e73", "none"),
];
const FLOOR: (&str, &str) = ("#555555", "2 3");

/// Draws series of names and figures in milliseconds; the one named `floor` is drawn thin.
pub(crate) fn svg(series: &[(String, Vec<f64>)], title: &str) -> String {
    let all = || {
        series
            .iter()
            .flat_map(|(_, figures)| figures)
            .map(|figure| figure.max(0.1).log10())
    };
    let (low, high) = (
        all().fold(f64::INFINITY, f64::min).floor(),
        all().fold(0.0, f64::max).ceil(),
    );
    let x = |ms: f64| LEFT + (ms.max(0.1).log10() - low) / (high - low) * (RIGHT - LEFT);
    let y = |share: f64| BOTTOM - share * (BOTTOM - TOP);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
        title.replace('&', "&amp;").replace('<', "&lt;")
    );
    for share in [0.0, 0.25, 0.5, 0.75, 0.95, 1.0] {
        let at = y(share);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            LEFT - 8.0,
            at + 4.0,
            share * 100.0
        );
    }
    let mut decade = low;
    while decade <= high {
        let (ms, at) = (10_f64.powf(decade), x(10_f64.powf(decade)));
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{ms} ms</text>",
            BOTTOM + 20.0
        );
        decade += 1.0;
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">lag (logarithmic); the higher and further left, the better</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 44.0
    );

    let mut styles = STYLES.iter().cycle();
    for ((name, figures), row) in series.iter().zip(0_u32..) {
        let is_floor = name == "floor";
        let next = if is_floor {
            Some(&FLOOR)
        } else {
            styles.next()
        };
        let (colour, dashes) = next.unwrap_or(&FLOOR);
        let look = format!(
            "stroke=\"{colour}\" stroke-dasharray=\"{dashes}\" stroke-width=\"{}\" fill=\"none\"",
            if is_floor { 1.5 } else { 2.5 }
        );
        let _ = writeln!(out, "<path {look} d=\"{}\"/>", steps(figures, &x, &y));
        let at = TOP + 30.0 + f64::from(row) * 44.0;
        let Summary { median, p95, .. } = Summary::of(figures);
        let _ = writeln!(
            out,
            "<path {look} d=\"M{} {at}h34\"/><text x=\"{}\" y=\"{}\" font-weight=\"bold\">{name}</text>\
             <text x=\"{}\" y=\"{}\" font-size=\"12\">median {median:.1}, p95 {p95:.1} ms</text>",
            RIGHT + 24.0,
            RIGHT + 66.0,
            at + 4.0,
            RIGHT + 66.0,
            at + 20.0
        );
    }
    out + "</svg>\n"
}

/// A line that rises by one share at each figure; with thousands of them, at every hundredth share.
fn steps(figures: &[f64], x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let sorted = sorted(figures);
    let count = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
    let every = (count / 100).max(1);
    let mut path = String::new();
    for (figure, rank) in sorted.iter().zip(1_u32..) {
        if rank == 1 {
            let _ = write!(path, "M{:.1} {:.1}", x(*figure), y(0.0));
        }
        if rank % every == 0 || rank == count {
            let share = f64::from(rank) / f64::from(count);
            let _ = write!(path, "H{:.1}V{:.1}", x(*figure), y(share));
        }
    }
    path
}
