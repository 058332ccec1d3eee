# selkie: everything that is done with this repository. `make help` lists it.
CARGO ?= cargo
PROFILE_DIR = target/$(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help build demo test test-packages lint test-unit test-kernels bench bench-learn fuzz install clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the release binary, target/HOST/release/selkie
	$(CARGO) build --release -p selkie

demo: build ## run, learn, prove, show, export, on an image of selkie itself
	$(PROFILE_DIR)/release/selkie demo

test: test-packages lint test-unit ## everything that CI runs

test-packages: ## what the tests use besides cargo and a C compiler
	@tools/install-test-packages

lint: ## formatting, clippy, the rules of the house
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	! command -v c++ >/dev/null || $(CARGO) clippy -q --manifest-path fuzz/Cargo.toml --target-dir target/fuzz -- -D warnings

test-unit: ## all tests, those that need root or a kernel feature say why they are skipped
	$(CARGO) build -p selkie -p selkie-sys --bins --examples
	tools/run-tests

test-kernels: ## the same invariants on Debian's stock kernels 6.1 and 6.12 in QEMU
	tools/test-kernels

bench: build ## selkie, the floor and the peers side by side, ratios printed
	tools/bench

bench-learn: ## every workload learned, compared with the set proven by hand; writes docs/learning-benchmark.md
	tools/bench-learn

fuzz: ## random input for every parser: CASES=20000 of each property, then each target in fuzz/ for SECONDS_EACH=60
	tools/fuzz

install: build ## into PREFIX (default /usr/local)
	install -D -m 755 $(PROFILE_DIR)/release/selkie $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/selkie

clean: ## remove what was built
	$(CARGO) clean
