# SPDX-License-Identifier: GPL-2.0-or-later
# Larch: every target in one file. `make help` explains them.

O ?= build
CC ?= cc
CLANG ?= clang
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
VARIANT := $(notdir $(O))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

# ---- what is compiled ----
SRC_common   := $(wildcard common/*.c)
SRC_proto    := $(wildcard proto/*.c)
SRC_pipeline := $(wildcard pipeline/*.c pipeline/*/*.c)
SRC_agent    := $(filter-out agent/main.c,$(wildcard agent/*.c agent/*/*.c))
SRC_server   := $(filter-out server/main.c,$(wildcard server/*.c server/*/*.c))
SRC_cli      := $(filter-out cli/main.c,$(wildcard cli/*.c))
PROTOS       := $(wildcard proto/*.proto)
GEN_C        := $(PROTOS:%.proto=$(O)/gen/%.pb-c.c)
ROOMS        := common proto pipeline agent server cli
PROGRAMS     := $(patsubst %,$(O)/%,larch-server larch-agent larchctl)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-missing-field-initializers
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_tsan := -fsanitize=thread
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DLARCH_FUZZ
SAN := $(SAN_$(VARIANT))
# libmaxminddb is optional: without it (or with GEOIP=) pipelines refuse their geoip stages.
GEOIP ?= $(shell $(CC) -include maxminddb.h -E -x c /dev/null >/dev/null 2>&1 && echo 1)
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -I. -I$(O)/gen $(if $(GEOIP),-DLARCH_MAXMINDDB) $(WARN) $(if $(WERROR),-Werror) $(SAN) $(CFLAGS)
LIBS := -linotifytools -lsystemd -lcurl -lprotobuf-c -lsnappy -lpcre2-8 -lyaml -lzstd -llz4 -lmicrohttpd -lwslay -lgnutls -lexpat -lxxhash -lz $(if $(GEOIP),-lmaxminddb) -lm -lpthread
ALL_LDFLAGS := $(SAN) -Wl,--as-needed $(LDFLAGS)

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
ARCHIVES := $(ROOMS:%=$(O)/%.a)
LINK = $(CC) $(CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

.PHONY: all demo test test-services unit model crash load integration conformance asan tsan fuzz fuzz-replay bench docs lint format install \
	uninstall deps deps-services help arrows clean
.DELETE_ON_ERROR:
.SECONDARY:

all: arrows $(PROGRAMS) ## build larch-server, larch-agent and larchctl into build/

# ---- objects, archives, programs ----
# The flags are part of what an object depends on: another CFLAGS or WERROR rebuilds.
FLAGS_FILE := $(O)/flags
$(shell mkdir -p $(O); f='$(CC) $(subst ','\'',$(ALL_CFLAGS))'; [ "$$(cat $(FLAGS_FILE) 2>/dev/null)" = "$$f" ] || printf '%s' "$$f" >$(FLAGS_FILE))

# Written only when it changes: a commit rebuilds the few files that print the version.
$(shell mkdir -p $(O)/gen/common; f='#define LARCH_VERSION "$(VERSION)"'; [ "$$(cat $(O)/gen/common/version.h 2>/dev/null)" = "$$f" ] || echo "$$f" >$(O)/gen/common/version.h)

$(O)/obj/%.o: %.c $(O)/flags | $(GEN_C)
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/obj/gen/%.o: $(O)/gen/%.c
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Wno-unused-parameter -Wno-missing-braces -MMD -MP -c -o $@ $<
$(O)/gen/%.pb-c.c: %.proto
	$(call say,PROTOC,$<)mkdir -p $(O)/gen && protoc-c --c_out=$(O)/gen $<

define archive
$(O)/$(1).a: $(call obj,$(SRC_$(1))) $(2)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach r,$(filter-out proto,$(ROOMS)),$(eval $(call archive,$(r))))
$(eval $(call archive,proto,$(GEN_C:$(O)/gen/%.c=$(O)/obj/gen/%.o)))

$(O)/larch-server: $(O)/obj/server/main.o $(O)/server.a $(O)/pipeline.a $(O)/proto.a $(O)/common.a
	$(call say,LD,$@)$(LINK)
$(O)/larch-agent: $(O)/obj/agent/main.o $(O)/agent.a $(O)/pipeline.a $(O)/proto.a $(O)/common.a
	$(call say,LD,$@)$(LINK)
$(O)/larchctl: $(O)/obj/cli/main.o $(O)/cli.a $(O)/server.a $(O)/pipeline.a $(O)/proto.a $(O)/common.a
	$(call say,LD,$@)$(LINK)

# ---- the arrows of docs/DESIGN.md: which room may include which ----
MAY_common   := common
MAY_proto    := proto|common
MAY_pipeline := pipeline|common
MAY_agent    := agent|pipeline|proto|common
MAY_server   := server|pipeline|proto|common
MAY_cli      := cli|server/store|pipeline|proto|common
arrows:
	$(Q)bad=0; $(foreach r,$(ROOMS),if grep -rnE --include='*.[ch]' '^#include "' $(r) | grep -vE '#include "($(MAY_$(r)))/'; then \
		echo "$(r)/ may include only: $(subst |, ,$(MAY_$(r))) (docs/DESIGN.md, The house)" >&2; bad=1; fi; ) \
	if grep -rnE --include='*.[ch]' '#include "server/ingest' server/exec; then echo 'server/exec must not include server/ingest' >&2; bad=1; fi; \
	exit $$bad

# ---- tests ----
UNIT := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
HELPERS := $(patsubst tests/integration/%.c,$(O)/tests/%.so,$(wildcard tests/integration/*.c))

# RE2 (C++) is only a reference in a test.
LIBS_test_regex_re2 := -lre2 -lstdc++
$(O)/obj/tests/unit/common/re2_shim.o: tests/unit/common/re2_shim.cc
	$(call say,CXX,$<)mkdir -p $(@D) && $(CXX) -std=c++17 $(SAN) $(CFLAGS) -c -o $@ $<
$(O)/tests/unit/common/test_regex_re2: $(O)/obj/tests/unit/common/re2_shim.o

$(O)/tests/unit/%: $(O)/obj/tests/unit/%.o $(ARCHIVES)
	$(call say,LD,$@)mkdir -p $(@D) && $(LINK) -lcmocka $(LIBS_$(notdir $@))
$(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay.o $(ARCHIVES)
	$(call say,LD,$@)mkdir -p $(@D) && $(LINK)
$(O)/libfuzzer/%: $(O)/obj/tests/fuzz/%.o $(ARCHIVES)
	$(call say,LD,$@)mkdir -p $(@D) && $(LINK) -fsanitize=fuzzer
# Preloaded into the programs by integration tests.
$(O)/tests/%.so: tests/integration/%.c
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -g -shared -fPIC -o $@ $< -ldl -lpthread

test: deps ## everything a change must pass: arrows, unit, fuzz corpora, integration (needs nothing outside this tree)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all unit-programs helpers
	$(Q)$(MAKE) --no-print-directory shippers
	@echo 'Left to make test-services: an S3 server (Ceph) and Prometheus.'
	$(Q)tests/run --title test --unit $(O) --fuzz $(O) --integration $(O)
test-services: deps deps-services ## tests against real heavier services from Debian's packages
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all helpers
	$(Q)tests/run --title test-services --services $(O)
unit-programs: $(UNIT) $(FUZZ:%=$(O)/tests/fuzz/%)
helpers: $(HELPERS)
unit: unit-programs ## unit tests (one binary a module); T=name runs one
	$(Q)tests/run --title unit --unit $(O) $(if $(T),--only $(T))
STEPS ?= 100000
SEED ?= $(shell date +%s)
model: unit-programs ## a naive model against the store: STEPS random steps from SEED on
	$(Q)MODEL_STEPS=$(STEPS) MODEL_SEED=$(SEED) $(O)/tests/unit/server/test_model 2>$(O)/model.log || \
		{ grep -v '^ts=' $(O)/model.log | tail -n 20; echo 'the log: $(O)/model.log'; exit 1; }
KILLS ?= 200
crash: all helpers ## kill -9 at KILLS random moments, from SEED on; every call that can fail does, in every way
	$(Q)LARCH_FAULTS=all $(O)/tests/unit/server/test_faults 2>$(O)/faults.log || \
		{ grep -v '^ts=' $(O)/faults.log | tail -n 20; echo 'the log: $(O)/faults.log'; exit 1; }
	$(Q)for t in test_kills test_kills_with_a_bucket; do echo "== $$t"; CRASH_KILLS=$(KILLS) CRASH_SEED=$(SEED) \
		python3 tests/integration/harness.py --build $(O) --run tests/integration/test_crash.py $$t || exit 1; done
LOAD_SECONDS ?= 60
load: all helpers ## 250 connections for LOAD_SECONDS, one tenant misbehaving: latencies of the others, memory, what is lost
	$(Q)LOAD_SECONDS=$(LOAD_SECONDS) python3 tests/integration/harness.py --build $(O) --run tests/integration/test_load.py test_one_tenant_misbehaves
fuzz-replay: unit-programs ## replay every fuzz corpus
	$(Q)tests/run --title fuzz --fuzz $(O) $(if $(T),--only $(T))
integration: all helpers shippers ## tests with real processes; T=name runs one
	$(Q)tests/run --title integration --integration $(O) $(if $(T),--only $(T))
conformance: all ## replay recorded answers of Loki and Promtail (needs ../shared)
	$(Q)tests/conformance/run $(O)
asan: ## unit, fuzz corpora and short integration tests under ASan + UBSan
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) O=build/asan CFLAGS='-O1 -g' all unit-programs helpers
	$(Q)tests/run --title asan --unit build/asan --fuzz build/asan --integration build/asan --short
tsan: ## unit and short integration tests under TSan
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) O=build/tsan CFLAGS='-O1 -g' all unit-programs helpers
	$(Q)tests/run --title tsan --unit build/tsan --fuzz build/tsan --integration build/tsan --short
SECONDS ?= 60
fuzz: ## run the fuzzers with clang's libFuzzer, SECONDS each; T=fuzz_name runs one
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) O=build/fuzz CC=$(CLANG) CFLAGS='-O1 -g' libfuzzers
	$(Q)for f in $(or $(T),$(FUZZ)); do mkdir -p build/fuzz/corpus/$$f tests/fuzz/corpus/$$f; \
		echo "== $$f"; build/fuzz/libfuzzer/$$f -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build/fuzz/ \
		build/fuzz/corpus/$$f tests/fuzz/corpus/$$f || exit 1; done
libfuzzers: $(patsubst %,$(O)/libfuzzer/%,$(or $(T),$(FUZZ)))
# Benchmarks of single rooms.
$(O)/tests/bench/%: $(O)/obj/tests/bench/%.o $(ARCHIVES)
	$(call say,LD,$@)mkdir -p $(@D) && $(LINK)
bench: all $(O)/tests/bench/bench_stages ## figures of agent and server against a yardstick measured in the same run; never fails
	$(Q)tests/bench/run $(O) $(BENCH_ARGS)
demo: deps ## build, start server and agent on real logs, show queries and answers, print the URL
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)tests/demo $(O) $(if $(LOGS),--logs '$(LOGS)') $(DEMO_ARGS)

# ---- housekeeping ----
SOURCES := $(wildcard common/*.[ch] proto/*.[ch] pipeline/*.[ch] pipeline/*/*.[ch] agent/*.[ch] agent/*/*.[ch] \
	server/*.[ch] server/*/*.[ch] cli/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch])
# cppcheck finds no system headers by itself, and two of its checks misread functions behind typedefs.
lint: arrows ## compile with gcc and clang, warnings as errors; cppcheck where it is installed
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) O=build/lint-gcc CC=gcc WERROR=1 all unit-programs
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) O=build/lint-clang CC=$(CLANG) WERROR=1 all unit-programs
	$(Q)if command -v cppcheck >/dev/null; then cppcheck -q --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--include=$$(ls /usr/include/*/sys/queue.h | head -n 1) --suppress=missingInclude --suppress=assignBoolToPointer --suppress=CastIntegerToAddressAtReturn -D__GNUC__ -I. -j$(JOBS) $(ROOMS); fi
docs: all ## write the tables of docs/METRICS.md that the programs print
	$(Q)tests/docs $(O)
format: ## clang-format every source file
	$(Q)clang-format -i $(SOURCES)
install: all ## install under DESTDIR PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/larch
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	for u in larch-server larch-agent; do sed 's|@BINDIR@|$(PREFIX)/bin|; s|@DATADIR@|$(PREFIX)/share/larch|' packaging/$$u.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/$$u.service; done
	install -m 644 configs/* $(DESTDIR)$(PREFIX)/share/larch
uninstall: ## remove what install put there
	rm -f $(PROGRAMS:$(O)/%=$(DESTDIR)$(PREFIX)/bin/%) $(DESTDIR)$(PREFIX)/lib/systemd/system/larch-server.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/larch-agent.service
	rm -rf $(DESTDIR)$(PREFIX)/share/larch
clean: ## remove build/
	rm -rf build
DEPS := build-essential pkg-config git ca-certificates openssl curl python3 libcurl4-openssl-dev libprotobuf-c-dev protobuf-c-compiler \
	libsnappy-dev libpcre2-dev libyaml-dev libzstd-dev liblz4-dev zlib1g-dev libcmocka-dev libsystemd-dev libinotifytools0-dev \
	libmicrohttpd-dev libwslay-dev libgnutls28-dev libexpat1-dev libxxhash-dev libmaxminddb-dev libre2-dev systemd systemd-journal-remote zstd
# RUNLEVEL=1: nothing that is installed starts a daemon.
deps: ## install what is missing, through apt, saying so first
	$(Q)missing=; for p in $(DEPS); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "Larch needs packages that are not installed; running: apt-get install$$missing"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
SERVICE_DEPS := prometheus ceph-mon ceph-osd radosgw ceph-common
deps-services:
	$(Q)$(MAKE) --no-print-directory deps DEPS='$(SERVICE_DEPS)'
# Unpacked rather than installed: installing one system logger removes another.
SHIPPER_DEPS := syslog-ng-core syslog-ng-mod-http
SHIPPERS := build/shippers
NEEDED := apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
	--no-pre-depends $(SHIPPER_DEPS) | grep '^[a-z]' | sort -u
.PHONY: shippers
shippers: $(SHIPPERS)/usr/sbin/syslog-ng ## log shippers from Debian's packages, unpacked below build/ for the tests
$(SHIPPERS)/usr/sbin/syslog-ng:
	$(Q)echo 'The tests need a log shipper; unpacking $(SHIPPER_DEPS) below $(SHIPPERS)'; mkdir -p $(SHIPPERS) && cd $(SHIPPERS) && \
	for p in $$($(NEEDED)); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done | \
		xargs -r apt-get -qq -o APT::Sandbox::User=root download && for f in *.deb; do dpkg -x $$f .; done
help: ## this list
	@echo 'make demo and make test are all a new user needs.'; echo
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 18
	@echo; echo 'Variables: V=1 shows commands; CC, CFLAGS, LDFLAGS, O (object directory), DESTDIR, PREFIX are respected.'

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
