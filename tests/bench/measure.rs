//! Samples and what is said of them: quantiles, and how many to take.

use std::time::{Duration, Instant};

/// How often things are run.
#[derive(Clone, Copy)]
pub enum Effort {
    Full,
    Quick,
}

impl Effort {
    /// `full` runs, or a tenth of them; at least three.
    pub fn runs(self, full: usize) -> usize {
        match self {
            Effort::Full => full,
            Effort::Quick => (full / 10).max(3),
        }
    }
}

/// How long one thing took, each time.
#[derive(Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The sample with `share` of all samples below it.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        sorted.get(at).copied().unwrap_or_default()
    }

    pub fn extend(&mut self, more: Samples) {
        self.0.extend(more.0);
    }

    /// Every sample less what is not to be counted; nothing is below zero.
    pub fn less(&self, other: Duration) -> Samples {
        Samples(self.0.iter().map(|sample| sample.saturating_sub(other)).collect())
    }

    /// Pair by pair.
    pub fn plus(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(one, other)| *one + *other).collect())
    }

    /// Every sample divided by `parts`.
    pub fn each(&self, parts: u32) -> Samples {
        Samples(self.0.iter().map(|sample| *sample / parts).collect())
    }
}

/// The median of ratios that were each taken within one run.
pub fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// Times `one` and `other` in turns, in blocks of `block`, so that both meet the same weather. The first
/// block of each is warm-up and not counted.
pub async fn in_turns<A, B>(
    runs: usize,
    block: usize,
    one: impl Fn() -> A,
    other: impl Fn() -> B,
) -> anyhow::Result<(Samples, Samples)>
where
    A: Future<Output = anyhow::Result<()>>,
    B: Future<Output = anyhow::Result<()>>,
{
    let (mut of_one, mut of_other) = (Samples::default(), Samples::default());
    repeat(block, &one).await?;
    repeat(block, &other).await?;
    while of_one.len() < runs {
        of_one.0.extend(repeat(block, &one).await?.0);
        of_other.0.extend(repeat(block, &other).await?.0);
    }
    Ok((of_one, of_other))
}

/// Runs once for warm-up, then `runs` times.
pub async fn warm<F>(runs: usize, run: impl Fn() -> F) -> anyhow::Result<Samples>
where
    F: Future<Output = anyhow::Result<()>>,
{
    run().await?;
    repeat(runs, &run).await
}

async fn repeat<F>(times: usize, run: &impl Fn() -> F) -> anyhow::Result<Samples>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut samples = Samples::default();
    for _ in 0..times {
        let began = Instant::now();
        run().await?;
        samples.push(began.elapsed());
    }
    Ok(samples)
}
