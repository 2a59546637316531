//! Slices of regular chunks, whose first chunk may be short, in what follows them.

use dask_rs::prelude::*;
use ndarray::Array1;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_follows_a_slice_has_its_elements(
        len in 1_i64..40, chunk in 1_u64..9, other in 1_u64..9, start in 0_i64..20, step in 1_isize..4,
    ) {
        let start = start.min(len - 1) as isize;
        let x: Array<i64> = array::arange(0, len, 1, [chunk]);
        let mirror = Array1::from_iter(0..len);
        let (forwards, backwards) = (s![start..;step], s![start..;-step]);
        for (part, want) in [
            (x.slice(forwards), mirror.slice(forwards)),
            (x.slice(backwards), mirror.slice(backwards)),
        ] {
            let sum = &part + &x.rechunk([other]).slice(s![..want.len() as isize]);
            let want_sum = &want + &mirror.slice(s![..want.len()]);
            let results = (&part, part.rechunk([other]), sum, part.slice(s![1..]), part.cast::<f64>().mean(..));
            let (same, rechunked, sum, rest, mean) = compute(results).unwrap();
            prop_assert_eq!(&same, &want.into_dyn());
            prop_assert_eq!(&rechunked, &same);
            prop_assert_eq!(&sum, &want_sum.into_dyn());
            prop_assert_eq!(&rest, &same.slice(s![1..]).into_dyn());
            prop_assert_eq!(mean[[]], same.sum() as f64 / same.len() as f64);
        }
    }
}
