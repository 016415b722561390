//! The statistics of a series of figures.

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p95: f64,
    pub(crate) max: f64,
}

impl Default for Summary {
    /// Returns the summary of an empty series.
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Summary {
    /// Returns percentiles by the nearest rank, so each is one of the figures; the median of an even number of
    /// figures is the mean of the two in the middle. All are NaN if there are no figures.
    pub(crate) fn of(figures: &[f64]) -> Self {
        let sorted = sorted(figures);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
        let n = sorted.len();
        Self {
            min: at(0),
            median: f64::midpoint(at(n.saturating_sub(1) / 2), at(n / 2)),
            p95: at((n * 95).div_ceil(100).saturating_sub(1)),
            max: at(n.saturating_sub(1)),
        }
    }

    pub(crate) fn json(self) -> Value {
        let Self {
            min,
            median,
            p95,
            max,
        } = self;
        json!({ "min": min, "median": median, "p95": p95, "max": max })
    }
}

pub(crate) fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// NaN unless both are there.
pub(crate) fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { f64::NAN }
}
