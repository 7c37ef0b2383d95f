/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of pipeline/extract: what was found, as name=value|name=value|!error detail. */
#ifndef LARCH_TESTS_EXTRACT_CHECK_H
#define LARCH_TESTS_EXTRACT_CHECK_H

#include "common/buf.h"
#include "pipeline/extract/extract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct str *wanted_names;
static size_t n_wanted;

static inline void set_wanted(const struct str *v, size_t n)
{
	wanted_names = v;
	n_wanted = n;
}

static inline void show_extract(const struct extract *x, struct buf *b)
{
	for (size_t i = 0; i < x->n; i++)
		buf_printf(b, "%s%.*s=%.*s", i ? "|" : "", STR_ARG(x->v[i].name), STR_ARG(x->v[i].value));
	if (x->error)
		buf_printf(b, "%s!%s%s%.*s", x->n ? "|" : "", x->error, x->detail.n ? " " : "", STR_ARG(x->detail));
}

static inline void check_extract(void (*run)(struct str line, struct extract *x), const char *line, const char *want)
{
	struct arena a;
	struct extract x;
	struct buf b = {0};
	char *text = mem_alloc(strlen(line)); /* without a NUL, so that a sanitizer sees reads past the end */
	memcpy(text, line, strlen(line));
	arena_init(&a, 0);
	extract_init(&x, &a, wanted_names, n_wanted);
	for (int i = 0; i < 2; i++) {
		extract_reset(&x);
		run(str_of(text, strlen(line)), &x);
		buf_clear(&b);
		show_extract(&x, &b);
		assert_string_equal(buf_cstr(&b), want);
	}
	buf_free(&b);
	extract_free(&x);
	arena_free(&a);
	free(text);
}

#endif
