//! How long nodes stay.
//!
//! Sessions are Weibull distributed, as Steiner, En-Najjary and Biersack found in another Kademlia network of millions
//! ("Long term study of peer behavior in the KAD DHT", IEEE/ACM Transactions on Networking 17(5), 2009). For mainline there
//! are two points of the distribution, measured by the University of Helsinki (Wang and Kangasharju, "Measuring large-scale
//! distributed systems: case of BitTorrent Mainline DHT", IEEE P2P 2013, and the continued measurement's pages): half of
//! the sessions are shorter than 200 minutes, and 3 in 100 longer than 9,000. The Weibull distribution through both has a
//! shape of 0.426.
//!
//! The shape is below 1: of many sessions that begin most are short, while of the nodes that are there at any moment most
//! stay long. A simulation begins with the latter, so that it is in equilibrium from the start,
//! and each node that leaves is replaced by a new one.

use std::time::Duration;

use super::random::Draw;
use super::scenario::Churn;

/// Shape of the sessions in mainline, and their median.
pub const MAINLINE: (f64, Duration) = (0.426, Duration::from_secs(200 * 60));

/// Steps in which the time that is left to those who are there is tabulated.
const STEPS: usize = 2_000;

/// Draws sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    seed: u64,
    weibull: Option<Weibull>,
    /// Quantiles of the time that is left to a node that is there at a random moment, in seconds.
    remaining: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Weibull {
    shape: f64,
    /// Seconds.
    scale: f64,
}

impl Weibull {
    fn new(shape: f64, median: Duration) -> Self {
        Self { shape, scale: median.as_secs_f64() / libm::pow(core::f64::consts::LN_2, 1.0 / shape) }
    }

    /// The share of sessions that are longer.
    fn survival(&self, seconds: f64) -> f64 {
        libm::exp(-libm::pow(seconds / self.scale, self.shape))
    }

    /// The session that this share of all is shorter than.
    fn quantile(&self, share: f64) -> f64 {
        self.scale * libm::pow(-libm::log(1.0 - share), 1.0 / self.shape)
    }
}

impl Sessions {
    pub(super) fn new(seed: u64, churn: Churn) -> Self {
        let weibull = match churn {
            Churn::None => None,
            Churn::Mainline => Some(Weibull::new(MAINLINE.0, MAINLINE.1)),
            Churn::Weibull { shape, median } => Some(Weibull::new(shape, median)),
        };
        Self { seed, weibull, remaining: weibull.map(|weibull| residual_quantiles(&weibull)).unwrap_or_default() }
    }

    /// How long a node stays that has just come; `None`: for ever.
    pub(super) fn fresh(&self, host: u32) -> Option<Duration> {
        let share = Draw::new(self.seed, "session", host.into()).unit();
        self.weibull.map(|weibull| Duration::from_secs_f64(weibull.quantile(share).min(1e9)))
    }

    /// How long a node stays that is there already when the simulation begins; `None`: for ever.
    pub(super) fn remaining(&self, host: u32) -> Option<Duration> {
        let share = Draw::new(self.seed, "session", host.into()).unit();
        let at = (share * self.remaining.len() as f64) as usize;
        self.remaining.get(at).map(|seconds| Duration::from_secs_f64(*seconds))
    }
}

/// In equilibrium, the density of the time that is left is proportional to the share of sessions that are longer. Its
/// quantiles, by adding that up over times that grow by a constant factor.
fn residual_quantiles(weibull: &Weibull) -> Vec<f64> {
    let longest = weibull.quantile(1.0 - 1e-9);
    let shortest = longest * 1e-9;
    let growth = libm::pow(longest / shortest, 1.0 / 20_000.0);
    let mut sums = vec![(0.0, 0.0)];
    let (mut time, mut sum) = (0.0, 0.0);
    for step in 0..20_000 {
        let next = shortest * libm::pow(growth, f64::from(step));
        sum += (next - time) * f64::midpoint(weibull.survival(time), weibull.survival(next));
        time = next;
        sums.push((sum, time));
    }
    let mut quantiles = Vec::with_capacity(STEPS);
    let mut at = 0;
    for step in 0..STEPS {
        let wanted = sum * (step as f64 + 0.5) / STEPS as f64;
        while at + 1 < sums.len() && sums[at + 1].0 < wanted {
            at += 1;
        }
        let ((before, from), (after, to)) = (sums[at], sums[(at + 1).min(sums.len() - 1)]);
        let part = if after > before { (wanted - before) / (after - before) } else { 0.0 };
        quantiles.push(from + part * (to - from));
    }
    quantiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainline_sessions_are_those_that_were_measured() {
        let sessions = Sessions::new(1, Churn::Mainline);
        let minutes = |host| sessions.fresh(host).unwrap().as_secs_f64() / 60.0;
        let longer = |than: f64| (0..100_000).filter(|host| minutes(*host) > than).count();
        assert!((49_500..50_500).contains(&longer(200.0)), "{}", longer(200.0));
        assert!((2_800..3_200).contains(&longer(9_000.0)), "{}", longer(9_000.0));
    }

    #[test]
    fn those_who_are_there_stay_longer_than_those_who_come() {
        let sessions = Sessions::new(1, Churn::Mainline);
        let longer = |than: f64| {
            let share = (0..100_000).filter(|host| sessions.remaining(*host).unwrap().as_secs_f64() > than * 60.0);
            share.count()
        };
        // Of sessions 50 in 100 are longer than 200 minutes.
        assert!(longer(200.0) > 80_000, "{}", longer(200.0));
    }

    #[test]
    fn in_equilibrium_as_many_leave_later_as_sooner() {
        // With a shape of 1 sessions have no memory: what is left is distributed like the whole.
        let sessions = Sessions::new(3, Churn::Weibull { shape: 1.0, median: Duration::from_secs(600) });
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        };
        let left = median((0..50_000).map(|host| sessions.remaining(host).unwrap()).collect());
        let whole = median((0..50_000).map(|host| sessions.fresh(host).unwrap()).collect());
        assert!((left - 600.0).abs() < 15.0 && (whole - 600.0).abs() < 15.0, "{left} {whole}");
    }

    #[test]
    fn without_churn_everybody_stays() {
        let sessions = Sessions::new(1, Churn::None);
        assert_eq!((sessions.fresh(1), sessions.remaining(1)), (None, None));
    }
}
