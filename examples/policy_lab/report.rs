//! The results as tables and as CSV.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use crate::figures::{Estimate, Summary};
use crate::published::TABLE;

/// One policy on one distribution.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) policy: String,
    pub(crate) is_plotted: bool,
    pub(crate) summary: Summary,
}

/// All policies on one distribution.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) origin: String,
    /// The sorted readiness times in seconds, without the sessions that never get ready.
    pub(crate) ready: Vec<f64>,
    pub(crate) rows: Vec<Row>,
}

impl Comparison {
    pub(crate) fn summary(&self, policy: &str) -> Option<&Summary> {
        let row = self.rows.iter().find(|row| row.policy == policy)?;
        Some(&row.summary)
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = table(&[
            "policy",
            "success, %",
            "time, s: median",
            "p95",
            "lag, s: median",
            "p95",
            "looks",
        ]);
        for Row {
            policy, summary, ..
        } in &self.rows
        {
            let mut row = vec![policy.clone(), share(summary.success)];
            for [median, p95] in [summary.time, summary.lag] {
                row.extend([with_interval(median, 1.0, 3), figure(p95.value, 3)]);
            }
            row.push(figure(summary.looks.value, 1));
            table.add_row(row);
        }
        table
    }
}

/// Returns the reference's table beside the simulated success rates.
pub(crate) fn published(simulated: &Comparison) -> Table {
    let mut table = table(&[
        "reference",
        "published, %",
        "simulated by",
        "success, %",
        "by both ends of the row, %",
    ]);
    for row in &TABLE {
        let success = |policy| simulated.summary(policy).map(|summary| summary.success);
        let [Some(first), Some(last), Some(fitted)] =
            [row.policies[0], row.policies[1], row.fitted.0].map(success)
        else {
            continue;
        };
        table.add_row([
            row.what.to_owned(),
            percent(row.share),
            row.fitted.0.to_owned(),
            share(fitted),
            format!("{} to {}", percent(first.value), percent(last.value)),
        ]);
    }
    table
}

/// Returns one line for each policy and distribution. Times are in milliseconds; an infinite one is empty.
pub(crate) fn csv(comparisons: &[Comparison]) -> String {
    let mut text = "readiness,policy,runs,success,success_low,success_high".to_owned();
    for what in ["time_median", "time_p95", "lag_median", "lag_p95"] {
        let _ = write!(text, ",{what}_ms,{what}_low_ms,{what}_high_ms");
    }
    text += ",looks_mean,looks_low,looks_high\n";
    for comparison in comparisons {
        for row in &comparison.rows {
            let summary = &row.summary;
            let (name, policy, runs) = (&comparison.name, &row.policy, summary.runs);
            let _ = write!(text, "{name},{policy},{runs}");
            cells(&mut text, summary.success, 1.0, 6);
            for estimate in summary.time.into_iter().chain(summary.lag) {
                cells(&mut text, estimate, 1e3, 0);
            }
            cells(&mut text, summary.looks, 1.0, 3);
            text.push('\n');
        }
    }
    text
}

fn cells(text: &mut String, estimate: Estimate, factor: f64, places: usize) {
    for value in [estimate.value, estimate.low, estimate.high] {
        text.push(',');
        if value.is_finite() {
            *text += &figure(value * factor, places);
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn figure(value: f64, places: usize) -> String {
    match value.is_finite() {
        true => format!("{value:.places$}"),
        false => "-".to_owned(),
    }
}

fn with_interval(estimate: Estimate, factor: f64, places: usize) -> String {
    if estimate.value.is_infinite() {
        return figure(estimate.value, places);
    }
    let [value, low, high] =
        [estimate.value, estimate.low, estimate.high].map(|value| figure(value * factor, places));
    format!("{value} ({low} to {high})")
}

/// In percent, with more digits close to 100.
fn percent(share: f64) -> String {
    figure(share * 100.0, decimals(share))
}

fn share(estimate: Estimate) -> String {
    with_interval(estimate, 100.0, decimals(estimate.value))
}

fn decimals(share: f64) -> usize {
    if share > 0.98 { 2 } else { 1 }
}
