# guardroom. `make` alone says what there is.

SHELL := /bin/sh
# A machine may have Go without having it on PATH.
export PATH := $(PATH):/usr/local/go/bin
GO ?= $(shell command -v go 2>/dev/null || echo /usr/local/go/bin/go)
TOOL = $(GO) tool -modfile=tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -X main.version=$(VERSION)
# Packages tested at the same time, and the longest that one may take.
P ?= 2
TIMEOUT ?= 60m
FUZZTIME ?= 30s
KILLS ?= 1000
BENCH ?= .

# The folders of the programs that the tests start come first on PATH.
WITH_TOOLS = extra="$$(sh scripts/get-test-tools.sh)"; PATH="$$extra$$PATH"; export PATH;

.DEFAULT_GOAL := help
.PHONY: help demo build test test-tools check fmt vet lint vuln generate bench soak fuzz size cover clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a made-up day in three accounts, through the real flow, in a minute and a half
	$(GO) run ./cmd/guardroom demo

build: ## the static program, as bin/guardroom
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/guardroom ./cmd/guardroom

test: ## get what the suite needs, then run all of it with the race detector
	@$(WITH_TOOLS) $(GO) test -race -timeout $(TIMEOUT) -p $(P) ./...

test-tools: ## only get what the suite needs
	@sh scripts/get-test-tools.sh >/dev/null

check: fmt vet lint test ## what a change must pass: format, vet, lint, all tests (which also find stale generated files)

fmt: ## fail on files that gofmt would change
	@list="$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)"; \
	if [ -n "$$list" ]; then echo "not formatted, run gofmt -w on:"; echo "$$list"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

lint: ## golangci-lint, built from tools/go.mod (minutes the first time)
	$(TOOL) golangci-lint run ./...

vuln: ## known vulnerabilities in what is really called (needs the network)
	$(TOOL) govulncheck ./...

generate: ## write the generated files anew: reference pages and the schema
	$(GO) generate ./...

bench: ## run the benchmarks (BENCH=regexp)
	@$(WITH_TOOLS) $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -timeout 2h ./...

soak: ## the crash suite with KILLS=1000 kills a store
	@$(WITH_TOOLS) GUARDROOM_KILLS=$(KILLS) GUARDROOM_RUN_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 12h -run 'Crash|TestARunThatIsKilled' ./e2e/... ./app/

fuzz: ## every fuzz test for FUZZTIME=30s
	@GO="$(GO)" sh scripts/fuzz.sh $(FUZZTIME)

size: ## the program's size and its ten largest modules
	@GO="$(GO)" sh scripts/size.sh

cover: ## test coverage, as coverage.html
	@$(WITH_TOOLS) $(GO) test -timeout $(TIMEOUT) -p $(P) -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -html=coverage.out -o coverage.html
	@$(GO) tool cover -func=coverage.out | tail -1

clean: ## remove what the Makefile made (not the test tools)
	rm -rf bin coverage.out coverage.html
