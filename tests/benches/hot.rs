//! How long the hot operations take.

use criterion::{BatchSize, Criterion};
use lockstep_tests::hot::{self, Meter};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let mut criterion = Criterion::default().configure_from_args();
    let mut stopwatch = Stopwatch(&mut criterion);
    hot::measure(&mut stopwatch, directory.path());
    hot::measure_varying(&mut stopwatch, directory.path());
    criterion.final_summary();
}

struct Stopwatch<'a>(&'a mut Criterion);

impl Meter for Stopwatch<'_> {
    fn measure<I, O>(
        &mut self,
        name: &str,
        mut prepare: impl FnMut() -> I,
        mut run: impl FnMut(I) -> O,
    ) {
        self.0.bench_function(name, |bencher| {
            bencher.iter_batched(&mut prepare, &mut run, BatchSize::SmallInput);
        });
    }
}
