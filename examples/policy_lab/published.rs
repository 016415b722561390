//! The reference's published figures, and the distribution of readiness times that is fitted to them.

use std::time::Duration;

/// One row of the reference's table.
pub(crate) struct Published {
    pub(crate) what: &'static str,
    /// The success rate that the reference states.
    pub(crate) share: f64,
    /// The policies at both ends of what the row states.
    pub(crate) policies: [&'static str; 2],
    /// The one of them that is fitted, and the seconds from the start to its last look.
    pub(crate) fitted: (&'static str, f64),
}

/// The table. One distribution cannot fit the middle of every row: one look after 3 to 5 s is as late as
/// three to five looks. So each row is fitted at one end.
pub(crate) const TABLE: [Published; 4] = [
    Published {
        what: "one look after 3-5 s",
        share: 0.40,
        policies: ["one look at 3s", "one look at 5s"],
        fitted: ("one look at 3s", 3.0),
    },
    Published {
        what: "3-5 looks",
        share: 0.70,
        policies: ["3 looks", "5 looks"],
        fitted: ("5 looks", 4.5),
    },
    Published {
        what: "8-10 looks",
        share: 0.95,
        policies: ["8 looks", "10 looks"],
        fitted: ("10 looks", 7.0),
    },
    Published {
        what: "15 looks",
        share: 0.999,
        policies: ["classic", "classic"],
        fitted: ("classic", 10.0),
    },
];

/// A Weibull distribution: a share `1 - exp(-(t / scale)^shape)` of the sessions is ready by `t`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weibull {
    pub(crate) shape: f64,
    /// In seconds.
    pub(crate) scale: f64,
}

impl Weibull {
    /// Fits the table by least squares, where the distribution is a straight line: `ln(-ln(1 - share))`
    /// over `ln(t)`.
    pub(crate) fn fitted() -> Self {
        let points = TABLE.map(|row| (row.fitted.1.ln(), (-(1.0 - row.share).ln()).ln()));
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| {
            let terms = points.iter().map(|point| of(point.0 - x, point.1 - y));
            terms.sum::<f64>()
        };
        let shape = sum(&|dx, dy| dx * dy) / sum(&|dx, _| dx * dx);
        Self {
            shape,
            scale: (x - y / shape).exp(),
        }
    }

    /// Returns so many times at random.
    pub(crate) fn times(self, count: usize, seed: u64) -> Vec<Duration> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut time = || {
            let seconds = self.scale * (-(1.0 - rng.f64()).ln()).powf(self.shape.recip());
            Duration::from_secs_f64(seconds)
        };
        (0..count).map(|_| time()).collect()
    }
}
