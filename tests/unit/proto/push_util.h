/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push_util: an arena and an error for a test of a decoder, and pushes as text. Included by one file of a program. */
#ifndef LARCH_TESTS_PUSH_UTIL_H
#define LARCH_TESTS_PUSH_UTIL_H

#include "proto/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena a;
static struct err e;

static int setup(void **state)
{
	(void)state;
	arena_init(&a, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&a);
	return 0;
}

/* labels ts:line(name=value) … */
static inline const char *dump(const struct push *p)
{
	static struct buf b;
	buf_clear(&b);
	for (size_t i = 0; i < p->n; i++) {
		buf_printf(&b, "%s%.*s", i ? " | " : "", STR_ARG(p->v[i].labels));
		for (size_t k = 0; k < p->v[i].n; k++) {
			const struct push_entry *v = &p->v[i].v[k];
			buf_printf(&b, " %lld:%.*s", (long long)v->ts, STR_ARG(v->line));
			for (size_t m = 0; m < v->meta.n; m++)
				buf_printf(&b, "(%.*s=%.*s)", STR_ARG(v->meta.v[m].name), STR_ARG(v->meta.v[m].value));
		}
	}
	return buf_cstr(&b);
}

#endif
