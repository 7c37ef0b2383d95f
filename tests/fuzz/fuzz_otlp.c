/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A protobuf OTLP request decodes within the arena's cap, into a push that survives its own wire form. */
#include "tests/fuzz/otlp_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
