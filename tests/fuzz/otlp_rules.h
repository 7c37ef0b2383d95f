/* SPDX-License-Identifier: GPL-2.0-or-later */
/* otlp_rules: what the fuzzers of OTLP share: a cap, a check, and rules of every action. */
#ifndef LARCH_TESTS_OTLP_RULES_H
#define LARCH_TESTS_OTLP_RULES_H

#include "proto/otlp.h"

#include <stdlib.h>

enum { CAP = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(bool ok)
{
	if (!ok) abort();
}

static const struct str index_labels[] = {STR("service.name"), STR("k8s.pod.name"), STR("drop"), STR("k")};
static const struct otlp_rule own[] = {{OTLP_DROP, &index_labels[2], 1, NULL},
				       {OTLP_INDEX_LABEL, &index_labels[3], 1, NULL}};
static const struct otlp_rules rules = {.defaults = {OTLP_INDEX_LABEL, index_labels, 2, NULL},
					.resource = {own, 1},
					.record = {own, 2},
					.severity_label = true,
					.now = 1};

#endif
