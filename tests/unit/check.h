/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check: cmocka with what it wants included first, and comparisons of our own types that print both sides. */
#ifndef LARCH_TESTS_UNIT_CHECK_H
#define LARCH_TESTS_UNIT_CHECK_H

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define check_str(got, want)  check_str_(got, want, __FILE__, __LINE__)
#define check_text(got, want) check_str_(str_c(got), str_c(want), __FILE__, __LINE__)

static inline void check_str_(struct str got, struct str want, const char *file, int line)
{
	if (str_eq(got, want)) return;
	print_error("got  \"%.*s\"\nwant \"%.*s\"\n", STR_ARG(got), STR_ARG(want));
	_fail(file, line);
}

/* The text in b, which is emptied for the next round. */
#define check_buf(b, want)                                                                                             \
	do {                                                                                                           \
		check_str_(buf_view(b), str_c(want), __FILE__, __LINE__);                                              \
		buf_clear(b);                                                                                          \
	} while (0)

#endif
