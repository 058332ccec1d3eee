//! How long the filter of a default container takes to build; it is built at every start.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write items without docs, and a bench that panics has failed")]

use criterion::{Criterion, criterion_group, criterion_main};
use selkie_caps::CapSet;
use selkie_seccomp::{Arch, Facts, Profile, compile, resolve};

fn bench(criterion: &mut Criterion) {
    let facts = Facts { capabilities: CapSet::from_bits(0x8004_05fb), arch: Arch::X86_64, kernel: None };
    criterion.bench_function("default profile to filter", |bencher| {
        bencher.iter(|| compile(&resolve(&Profile::default_profile(), &facts)).unwrap());
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
