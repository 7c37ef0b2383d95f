/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a query. What parses must print as something that reads back as the same tree, in both forms. */
#include "server/logql/logql.h"

#include <stdio.h>
#include <stdlib.h>

/* Loki's text of a size is rounded ("5123B" is "5.1kB"), and that of a folded NaN or Inf is no number. */
static bool is_inexact(struct str text)
{
	if (str_find(text, STR("NaN")) >= 0 || str_find(text, STR("Inf")) >= 0) return true;
	for (size_t i = 0; i + 1 < text.n; i++) {
		size_t k = i + 1;
		if (text.p[i] != '.' && (text.p[i] < '0' || text.p[i] > '9')) continue;
		if (strchr("kKmMgGtTpPeE", text.p[k])) k++;
		if (k < text.n && (text.p[k] | 0x20) == 'i') k++;
		if (k < text.n && (text.p[k] | 0x20) == 'b') return true;
	}
	return false;
}

static void reads_back(const struct logql *q, void (*print)(struct buf *b, const struct logql_expr *x))
{
	struct buf b = {0};
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	print(&b, q->root);
	struct logql *again = logql_parse(&a, buf_view(&b), &e);
	if (b.n < LEX_MAX_SIZE && !is_inexact(buf_view(&b)) && (!again || !logql_equal(q->root, again->root))) {
		fprintf(stderr, "%s\n%s\n", buf_cstr(&b), again ? "reads back differently" : e.msg);
		abort();
	}
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
