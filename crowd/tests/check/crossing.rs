//! No history of a correct server is accused.

use proptest::prelude::*;

use crate::simulated::{Shape, run};

pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    (any::<u64>(), 2..12_u8, 5..40_u8, 1..12_u8, 2..5_u8, any::<bool>()).prop_map(
        |(seed, buyers, steps, stock, limit, forgets)| Shape {
            seed,
            buyers,
            steps,
            stock,
            limit,
            forgets,
        },
    )
}

proptest! {
    #[test]
    fn a_correct_server_is_never_accused(shape in shapes()) {
        let verdict = run(shape).judge();
        prop_assert!(verdict.holds(), "{:#?}", verdict.violations);
    }
}

#[test]
fn the_simulated_histories_have_what_is_hard_to_judge() {
    let mut sums = [0; 7];
    for seed in 0..50 {
        for forgets in [false, true] {
            let shape = Shape { seed, buyers: 9, steps: 12, stock: 14, limit: 3, forgets };
            let checked = run(shape).judge().checked;
            let counts = [
                checked.refused,
                checked.unsure,
                checked.of_unsure,
                checked.attempts - checked.claims,
                checked.looks,
                checked.foreign,
                checked.forgotten,
            ];
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    assert!(sums.iter().all(|sum| *sum > 0), "{sums:?}");
}
