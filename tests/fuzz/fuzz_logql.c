/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a query. What parses must print as something that reads back as the same tree, in both forms. */
#include "server/logql/logql.h"

#include <math.h>
#include <stdlib.h>

/* Loki's text of a size or of a vector's value may be rounded, and that of a folded NaN or Inf is no number; then the text
 * need only be stable. */
static bool is_rounded(const struct logql *q, struct str text)
{
	static const char *const inexact[] = {"NaN", "Inf"};
	for (size_t i = 0; i < sizeof inexact / sizeof *inexact; i++)
		if (str_find(text, str_c(inexact[i])) >= 0) return true;
	for (size_t i = 0; i + 1 < q->text.n; i++)
		if ((q->text.p[i + 1] | 0x20) == 'b' && q->text.p[i] >= '0' && q->text.p[i] <= '9') return true;
	return str_find(q->text, STR("b")) >= 0 || str_find(q->text, STR("B")) >= 0;
}

static void reads_back(const struct logql *q, void (*print)(struct buf *b, const struct logql_expr *x))
{
	struct buf b = {0};
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	print(&b, q->root);
	struct logql *again = logql_parse(&a, buf_view(&b), &e);
	bool too_long = b.n >= LEX_MAX_SIZE;
	if (!too_long && !is_rounded(q, buf_view(&b)) && (!again || !logql_equal(q->root, again->root))) abort();
	logql_free(again);
	arena_free(&a);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	struct logql *q = logql_parse(&a, str_of((const char *)data, n), &e);
	if (q) {
		reads_back(q, logql_print);
		reads_back(q, logql_print_pretty);
		logql_compile(q, &e);
	}
	logql_free(q);
	arena_free(&a);
	return 0;
}
