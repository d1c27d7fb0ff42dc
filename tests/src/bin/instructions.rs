//! Does each hot operation a fixed number of times. `.ci/instructions` runs it under callgrind, which counts what is
//! executed within `counted`, and only there.

use std::hint::black_box;
use std::process::ExitCode;

use lockstep_tests::hot::{self, Meter};

/// That of the program. What the system's own executes depends on what else lies in memory, down to the length of a path.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Done before anything is counted, so that buffers and tables have about the size they keep.
const WARM_UP: usize = 16;

/// Done while it is counted: enough that what happens now and then (a leaf that splits, a hash that collides) does not show.
const COUNTED: usize = 16;

fn main() -> ExitCode {
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => {
            eprintln!("error: cannot make a directory for temporary files: {error}");
            return ExitCode::FAILURE;
        }
    };
    hot::measure(&mut Counter, directory.path());
    ExitCode::SUCCESS
}

/// Prints the name of what is counted, and how often it is done: a line for each call of `counted`, in their order.
struct Counter;

impl Meter for Counter {
    fn measure<I, O>(
        &mut self,
        name: &str,
        mut prepare: impl FnMut() -> I,
        mut run: impl FnMut(I) -> O,
    ) {
        for _ in 0..WARM_UP {
            black_box(run(prepare()));
        }
        let inputs: Vec<I> = (0..COUNTED).map(|_| prepare()).collect();
        let mut outputs = Vec::with_capacity(COUNTED);
        let mut inputs = inputs.into_iter();
        counted(&mut || {
            for input in &mut inputs {
                outputs.push(run(black_box(input)));
            }
        });
        black_box(outputs);
        println!("{name} {COUNTED}");
    }
}

/// One function for all operations, which callgrind finds by its name.
#[inline(never)]
fn counted(operations: &mut dyn FnMut()) {
    operations();
    // A call, not a jump: callgrind is to see where the function ends.
    black_box(());
}
