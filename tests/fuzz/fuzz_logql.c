/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a query, in Loki's language and in the extended one. What parses must print as something that reads back
 * as the same tree, in both forms. */
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

typedef struct logql *parser(struct arena *a, struct str text, struct err *e);

static void reads_back(const struct logql *q, parser *parse, void (*print)(struct buf *b, const struct logql_expr *x))
{
	struct buf b = {0};
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	print(&b, q->root);
	struct logql *again = parse(&a, buf_view(&b), &e);
	if (b.n < LEX_MAX_SIZE && !is_inexact(buf_view(&b)) && (!again || !logql_equal(q->root, again->root))) {
		fprintf(stderr, "%s\n%s\n", buf_cstr(&b), again ? "reads back differently" : e.msg);
		abort();
	}
	logql_free(again);
	arena_free(&a);
	buf_free(&b);
}

/* What Loki takes must be the same query with extensions. */
static void means_the_same(const struct logql *q)
{
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	struct logql *more = logql_parse_extended(&a, q->text, &e);
	if (!more || !logql_equal(q->root, more->root)) abort();
	logql_free(more);
	arena_free(&a);
}

static void try(struct str text, parser *parse)
{
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	struct logql *q = parse(&a, text, &e);
	if (q) {
		reads_back(q, parse, logql_print);
		reads_back(q, parse, logql_print_pretty);
		if (!q->extended) means_the_same(q);
		logql_compile(q, &e);
	}
	logql_free(q);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	try(str_of((const char *)data, n), logql_parse);
	try(str_of((const char *)data, n), logql_parse_extended);
	return 0;
}
