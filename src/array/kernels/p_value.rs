//! How likely a statistic is to be as far from 0 as it is.

use statrs::function::beta::checked_beta_reg;

use super::copy::filled;
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// The two-sided p-values of Student's t in slot 0 with the degrees of freedom in slot 1.
#[derive(Debug)]
pub(crate) struct StudentKernel;

/// The probability that |T| is at least |t|.
fn two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    checked_beta_reg(df / 2.0, 0.5, df / (df + t * t)).unwrap_or(f64::NAN)
}

impl Kernel for StudentKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let [t, df] = [0, 1].map(|slot| chunk::<f64>(inputs.take_one(slot)));
        let out = filled::<f64>(t.view().shape(), task.pool, |mut out| {
            let both = t.view().into_iter().copied().zip(df.view().into_iter().copied());
            out.iter_mut().zip(both).for_each(|(out, (t, df))| *out = two_sided(t, df));
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("student", "float64", ()))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("student", &()))
    }
}

#[cfg(test)]
mod tests {
    use super::two_sided;

    #[test]
    fn tails_are_those_of_scipy() {
        // 2 * scipy.stats.t.sf(t, df)
        let known = [
            (0.0, 3.0, 1.0),
            (1.5, 1.0, 0.3743340836219977),
            (-2.0, 10.0, 0.07338803477074037),
            (5.0, 4.5, 0.005476358359519903),
            (30.0, 100.0, 8.380332558688329e-52),
        ];
        for (t, df, p) in known {
            let got = two_sided(t, df);
            assert!((got - p).abs() <= 1e-10 * p, "{t} {df}: {got} {p}");
        }
        assert!(two_sided(f64::NAN, 3.0).is_nan() && two_sided(1.0, 0.0).is_nan());
        assert_eq!(two_sided(f64::INFINITY, 3.0), 0.0);
    }
}
