/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A protobuf OTLP request decodes within the arena's cap, into a push that survives its own wire form. */
#include "proto/otlp.h"

#include <stdlib.h>

enum { CAP = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str index_labels[] = {STR("service.name"), STR("k8s.pod.name"), STR("drop"), STR("k")};
	static const struct otlp_rule own[] = {{OTLP_DROP, &index_labels[2], 1, NULL},
					       {OTLP_INDEX_LABEL, &index_labels[3], 1, NULL}};
	const struct otlp_rules rules = {.defaults = {OTLP_INDEX_LABEL, index_labels, 2, NULL},
					 .resource = {own, 1},
					 .record = {own, 2},
					 .severity_label = true,
					 .now = 1};
	struct arena a, again;
	struct push p, q;
	struct buf wire = {0};
	struct err e = ERR_INIT;
	arena_init(&a, CAP);
	arena_init(&again, 0);
	if (!otlp_decode(&a, str_of((const char *)data, size), &rules, &p, &e)) {
		check(e.code != ERR_NONE && e.msg[0]);
	} else {
		push_encode(&p, &wire);
		check(push_decode(&again, buf_view(&wire), &q, &e));
		check(p.n == q.n && p.entries == q.entries && p.bytes == q.bytes);
		for (size_t i = 0; i < p.n; i++) check(str_eq(p.v[i].labels, q.v[i].labels) && p.v[i].n > 0);
		struct labels l;
		for (size_t i = 0; i < p.n; i++) check(labels_parse(&again, p.v[i].labels, &l, &e));
	}
	buf_free(&wire);
	arena_free(&a);
	arena_free(&again);
	return 0;
}
