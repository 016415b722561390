//! Figures of many runs, each with its 95 % confidence interval.

use std::time::Duration;

use crate::simulate::Run;

/// 95 % of a normal distribution lie within so many standard deviations.
const Z: f64 = 1.96;

/// An estimate between the ends of its 95 % confidence interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
}

/// The results of one policy on one distribution. Times are in seconds.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) runs: usize,
    /// 0 to 1.
    pub(crate) success: Estimate,
    /// Median and 95th percentile of all runs. A run that did not find the number counts as infinite, so
    /// that a policy does not look faster because it gives up earlier.
    pub(crate) time: [Estimate; 2],
    /// The same of the runs that found the number; infinite if there are none.
    pub(crate) lag: [Estimate; 2],
    /// The mean of all runs.
    pub(crate) looks: Estimate,
    /// The sorted times and lags of the runs that found the number.
    pub(crate) times: Vec<f64>,
    pub(crate) lags: Vec<f64>,
}

impl Summary {
    pub(crate) fn of(runs: &[Run]) -> Self {
        let sorted = |of: fn((Duration, Duration)) -> Duration| {
            let found = runs.iter().filter_map(|run| run.found);
            let mut seconds: Vec<_> = found.map(|found| of(found).as_secs_f64()).collect();
            seconds.sort_by(f64::total_cmp);
            seconds
        };
        let (times, lags) = (sorted(|found| found.0), sorted(|found| found.1));
        Self {
            runs: runs.len(),
            success: share(times.len(), runs.len()),
            time: [0.5, 0.95].map(|q| quantile(&times, runs.len(), q)),
            lag: [0.5, 0.95].map(|q| quantile(&lags, lags.len(), q)),
            looks: mean(runs.iter().map(|run| f64::from(run.looks))),
            times,
            lags,
        }
    }
}

/// Returns the share, with Wilson's interval.
fn share(hits: usize, count: usize) -> Estimate {
    let (n, value) = (count as f64, hits as f64 / count as f64);
    let width = 1.0 + Z * Z / n;
    let middle = (value + Z * Z / (2.0 * n)) / width;
    let half = Z / width * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
    Estimate {
        low: (middle - half).clamp(0.0, value),
        value,
        high: (middle + half).clamp(value, 1.0),
    }
}

/// Returns a quantile of `count` figures by the nearest rank; those after the sorted ones are infinite.
/// The interval is between two ranks, so it holds for every distribution.
fn quantile(sorted: &[f64], count: usize, q: f64) -> Estimate {
    let n = count as f64;
    let half = Z * (n * q * (1.0 - q)).sqrt();
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a rank is from 1 to `count`"
    )]
    let at = |rank: f64| {
        let index = (rank.min(n) - 1.0).max(0.0) as usize;
        sorted.get(index).copied().unwrap_or(f64::INFINITY)
    };
    Estimate {
        low: at((n * q - half).floor()),
        value: at((n * q).ceil()),
        high: at((n * q + half).ceil() + 1.0),
    }
}

/// Returns the mean, with its normal interval.
fn mean(figures: impl Iterator<Item = f64> + Clone) -> Estimate {
    let n = figures.clone().count() as f64;
    let value = figures.clone().sum::<f64>() / n;
    let squares: f64 = figures.map(|figure| (figure - value).powi(2)).sum();
    let half = Z * (squares / (n - 1.0).max(1.0) / n).sqrt();
    Estimate {
        low: value - half,
        value,
        high: value + half,
    }
}
