/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A JSON push that decodes is encoded, and what is encoded decodes as the same. */
#include "proto/push.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

static void check_same(const struct push *x, const struct push *y)
{
	check(x->n == y->n && x->entries == y->entries && x->bytes == y->bytes);
	for (size_t i = 0; i < x->n; i++) {
		check(x->v[i].n == y->v[i].n);
		for (size_t k = 0; k < x->v[i].n; k++) {
			const struct push_entry *v = &x->v[i].v[k], *w = &y->v[i].v[k];
			check(v->ts == w->ts && str_eq(v->line, w->line) && v->meta.n == w->meta.n);
			for (size_t m = 0; m < v->meta.n; m++)
				check(str_eq(v->meta.v[m].name, w->meta.v[m].name) &&
				      str_eq(v->meta.v[m].value, w->meta.v[m].value));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	struct arena a;
	struct push p, again;
	struct buf b = {0};
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	if (!push_json_decode(&a, in, &p, &e)) {
		check(e.code != ERR_NONE && e.msg[0]);
	} else if (push_json_encode(&p, &b, &e)) {
		check(push_json_decode(&a, buf_view(&b), &again, &e));
		if (str_utf8_valid(in)) check_same(&p, &again);
	} else {
		check(b.n == 0 && e.code != ERR_NONE);
	}
	buf_free(&b);
	arena_free(&a);
	return 0;
}
