# `make help` lists the targets. Tools are pinned here and built once into .tools/NAME@VERSION/ when missing; nothing
# but Go has to be installed. A target that needs a tool names the tool's file as a prerequisite.

.DEFAULT_GOAL := build

BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
PROTOVALIDATE_VERSION      := v1.2.2
GOLANGCI_LINT_VERSION      := v2.15.0
GRPCURL_VERSION            := v1.9.4

TOOLS              := $(CURDIR)/.tools
BUF                := $(TOOLS)/buf@$(BUF_VERSION)/buf
PROTOC_GEN_GO      := $(TOOLS)/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)/protoc-gen-go
PROTOC_GEN_GO_GRPC := $(TOOLS)/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)/protoc-gen-go-grpc
GOLANGCI_LINT      := $(TOOLS)/golangci-lint@$(GOLANGCI_LINT_VERSION)/golangci-lint
GRPCURL            := $(TOOLS)/grpcurl@$(GRPCURL_VERSION)/grpcurl

# $(call install,PACKAGE@VERSION) builds a tool into the folder of the target. It runs outside the module,
# so that tools leave go.mod alone.
install = cd / && CGO_ENABLED=0 GOFLAGS= GOBIN=$(@D) go install $(1)

$(BUF):
	$(call install,github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION))

$(PROTOC_GEN_GO):
	$(call install,google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION))

$(PROTOC_GEN_GO_GRPC):
	$(call install,google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION))

$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))

$(GRPCURL):
	$(call install,github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Programs

# What `stint-agent version` tells; a build without git has none to tell.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

GO_BUILD = CGO_ENABLED=0 go build -trimpath -ldflags

# Always built: Go knows by itself what is up to date.
.PHONY: build
build: ## build bin/stint-coordinator and bin/stint-agent (the default)
	$(GO_BUILD) "-s -w -X main.release=$(VERSION)" -o bin/stint-coordinator$(EXE) ./coordinator
	$(GO_BUILD) "-s -w -X main.release=$(VERSION)" -o bin/stint-agent$(EXE) ./agent

# The suffix of programs where we build for.
EXE := $(shell go env GOEXE)

PLATFORMS := linux/amd64 linux/arm64 linux/arm darwin/arm64 windows/amd64

.PHONY: cross
cross: ## show that everything builds for every platform
	@set -e; for platform in $(PLATFORMS); do \
		echo "$$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build ./...; \
	done

## Trying it out

# Not `go run`: that would not pass on a signal, and leave what the demo has started behind.
DEMO := .demo/stint-demo$(EXE)

.PHONY: $(DEMO)
$(DEMO): build
	@go build -o $@ ./coordinator/demo

.PHONY: demo
demo: $(DEMO) ## run a dozen tasks, kill an agent on the way, show the results; ends by itself
	@$(DEMO)

.PHONY: up
up: $(DEMO) ## run the same coordinator, agents and stand-in API until Ctrl-C, to try things out
	@$(DEMO) -up

.PHONY: tools
tools: $(GRPCURL) ## build the pinned grpcurl
	@echo $(GRPCURL)

## Tests

# The race detector needs a C compiler. Where there is none the tests run without it.
RACE := $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)

# Longest time of one package's tests: several times what the longest takes on two cores.
TEST_TIMEOUT := 20m

# -count=1: go test cannot see what the tests build and start themselves, and would take an old result for a new one.
# STINT_REQUIRE=all makes a test fail that would be skipped because a program it needs is not there.
.PHONY: test
test: $(GRPCURL) ## vet, then all tests, those with the real programs included
	go vet ./...
	@[ -n "$(RACE)" ] || [ "$(STINT_REQUIRE)" != all ] || { echo "no C compiler, so no race detector: install gcc"; exit 1; }
	STINT_GRPCURL=$(GRPCURL) go test $(RACE) -count=1 -timeout $(TEST_TIMEOUT) ./...

.PHONY: test-again
test-again: $(GRPCURL) ## the tests with the real programs that match RUN
	STINT_GRPCURL=$(GRPCURL) go test $(RACE) -count=1 -timeout $(TEST_TIMEOUT) -run '$(RUN)' ./coordinator/blackbox

# Without the race detector, which the short size has: this one is for much work in little time.
.PHONY: soak
soak: $(GRPCURL) ## the fault suite in its long size, about three quarters of an hour; SEED=n repeats the choices of a run
	STINT_SOAK=1 STINT_GRPCURL=$(GRPCURL) go test -count=1 -v -p 1 -timeout 60m ./coordinator/internal/faults ./coordinator/blackbox

# Lays one bug after the other over the tree; exits with 1 if a test does not find it.
.PHONY: planted
planted: ## show that the fault suite finds bugs planted on purpose
	go run ./coordinator/internal/faults/planted

.PHONY: clean
clean: ## remove what was built and what a demo left; keeps the tools
	rm -rf bin .demo

## Contract

VALIDATE_PROTO := buf/validate/validate.proto

# The plugins come first in PATH, where proto/buf.gen.yaml looks for them. --path keeps the vendored module
# from being generated.
buf_generate = PATH="$(dir $(PROTOC_GEN_GO)):$(dir $(PROTOC_GEN_GO_GRPC)):$$PATH" \
	$(BUF) generate --template proto/buf.gen.yaml --path proto/stint

# generate rewrites gen/ from proto/.
.PHONY: generate
generate: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) vendor-proto ## rewrite gen/ from proto/
	$(buf_generate)

# vendor-proto copies the rules that the contract imports out of the module cache.
.PHONY: vendor-proto
vendor-proto:
	@cd / && go mod download github.com/bufbuild/protovalidate@$(PROTOVALIDATE_VERSION)
	@mkdir -p proto/.vendor/$(dir $(VALIDATE_PROTO))
	@rm -f proto/.vendor/$(VALIDATE_PROTO)
	@cp "$$(go env GOMODCACHE)/github.com/bufbuild/protovalidate@$(PROTOVALIDATE_VERSION)/proto/protovalidate/$(VALIDATE_PROTO)" \
		proto/.vendor/$(VALIDATE_PROTO)
	@chmod 644 proto/.vendor/$(VALIDATE_PROTO)

## Lint

.PHONY: lint
lint: lint-proto lint-gen lint-go ## check the contract, the generated code and the Go code

# The last commit of main, where there is one: what the contract must stay compatible with.
BREAKING_BASE = $(shell git rev-parse --verify --quiet main || git rev-parse --verify --quiet origin/main)

# lint-proto checks style, comments, format and compatibility of the contract. The older contract is
# unpacked next to the same copy of the vendored module, which is not in git.
.PHONY: lint-proto
lint-proto: $(BUF) vendor-proto
	$(BUF) lint
	$(BUF) format --diff --exit-code --path proto/stint
	@base="$(BREAKING_BASE)"; \
	if [ -z "$$base" ] || ! git cat-file -e "$$base:buf.yaml" 2>/dev/null; then \
		echo "buf breaking: no earlier contract to compare with"; exit 0; \
	fi; \
	old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && \
	git archive "$$base" buf.yaml proto | tar -x -C "$$old" && \
	cp -R proto/.vendor "$$old/proto/" && \
	echo "buf breaking --against $$base" && \
	$(BUF) breaking --against "$$old"

# lint-gen fails when gen/ is not what `make generate` would write.
.PHONY: lint-gen
lint-gen: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) vendor-proto
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && \
	$(buf_generate) --output "$$new" && \
	diff -r "$$new/gen" gen || { echo "gen/ is out of date: run make generate"; exit 1; }

.PHONY: lint-go
lint-go: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run

## Measuring

BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
BENCHSTAT         := $(TOOLS)/benchstat@$(BENCHSTAT_VERSION)/benchstat

$(BENCHSTAT):
	$(call install,golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION))

# Where the benches make their temporary data: it has to lie on a disk, and the system's own folder for
# such things often lies in memory.
BENCH_DIR := $(CURDIR)/.demo

# Which rows to run, separated by commas: make bench ROWS=throughput,latency. Empty: all.
ROWS :=

bench = mkdir -p $(BENCH_DIR) && bin/stint-agent$(EXE) bench $(1) --data-dir $(BENCH_DIR) $(if $(ROWS),--row $(ROWS))

.PHONY: idle
idle: build ## print what an idle coordinator and an idle agent cost
	@$(call bench,idle --spawn)

.PHONY: bench
bench: build ## measure a small table of rates, times and costs, in less than five minutes
	@$(call bench,quick)

# Each result is kept as soon as it is there; `bin/stint-agent bench table FILE` prints the table again.
.PHONY: bench-full
bench-full: build ## measure the whole table under its conditions, five times each; takes hours
	@$(call bench,full) --save $(CURDIR)/bench-full.jsonl

# The micro-benchmarks that bench-compare runs, how often, and how long each.
BENCH_PACKAGES := ./coordinator/internal/queue ./coordinator/internal/server ./coordinator/internal/ledger/pebbleledger
BENCH_COUNT    := 6
BENCH_TIME     := 300ms

# The two states take turns, so that a slow minute of the machine hits both.
.PHONY: bench-compare
bench-compare: $(BENCHSTAT) ## compare the micro-benchmarks with those of a commit: make bench-compare BASE=main
	@[ -n "$(BASE)" ] || { echo "bench-compare: name the commit to compare with: make bench-compare BASE=main"; exit 1; }
	@mkdir -p $(BENCH_DIR); old=$$(mktemp -d $(BENCH_DIR)/compare.XXXXXX) && trap 'rm -rf "$$old"' EXIT && \
	mkdir "$$old/tree" && git archive "$(BASE)" | tar -x -C "$$old/tree" && \
	run() { go test -run '^$$' -bench . -benchmem -benchtime $(BENCH_TIME) $(BENCH_PACKAGES); } && \
	for i in $$(seq $(BENCH_COUNT)); do \
		echo "run $$i of $(BENCH_COUNT)" >&2; \
		(cd "$$old/tree" && run) >> "$$old/base" && run >> "$$old/now" || exit 1; \
	done && \
	$(BENCHSTAT) base="$$old/base" now="$$old/now"
