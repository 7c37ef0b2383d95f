/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A JSON OTLP request decodes within the arena's cap, into streams that all have entries and labels that parse. */
#include "tests/fuzz/otlp_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct push p;
	struct labels l;
	struct err e = ERR_INIT;
	arena_init(&a, CAP);
	if (!otlp_json_decode(&a, str_of((const char *)data, size), &rules, &p, &e)) {
		check(e.code != ERR_NONE && e.msg[0]);
	} else {
		size_t entries = 0;
		for (size_t i = 0; i < p.n; i++) {
			check(p.v[i].n > 0 && labels_parse(&a, p.v[i].labels, &l, &e));
			entries += p.v[i].n;
		}
		check(entries == p.entries);
	}
	arena_free(&a);
	return 0;
}
