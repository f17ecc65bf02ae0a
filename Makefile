# Tools are pinned here and built once into .tools/NAME@VERSION/ when missing; nothing but Go has to be
# installed. A target that needs a tool names the tool's file as a prerequisite.

.DEFAULT_GOAL := build

BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
PROTOVALIDATE_VERSION      := v1.2.2
GOLANGCI_LINT_VERSION      := v2.15.0

TOOLS              := $(CURDIR)/.tools
BUF                := $(TOOLS)/buf@$(BUF_VERSION)/buf
PROTOC_GEN_GO      := $(TOOLS)/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)/protoc-gen-go
PROTOC_GEN_GO_GRPC := $(TOOLS)/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)/protoc-gen-go-grpc
GOLANGCI_LINT      := $(TOOLS)/golangci-lint@$(GOLANGCI_LINT_VERSION)/golangci-lint

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

## Contract

VALIDATE_PROTO := buf/validate/validate.proto

# The plugins come first in PATH, where proto/buf.gen.yaml looks for them. --path keeps the vendored module
# from being generated.
buf_generate = PATH="$(dir $(PROTOC_GEN_GO)):$(dir $(PROTOC_GEN_GO_GRPC)):$$PATH" \
	$(BUF) generate --template proto/buf.gen.yaml --path proto/stint

# generate rewrites gen/ from proto/.
.PHONY: generate
generate: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) vendor-proto
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
lint: lint-proto lint-gen lint-go

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
