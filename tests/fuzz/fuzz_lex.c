/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A selector and line filters, as a match stage reads them; what parses is printed, parsed again and printed alike. */
#include "pipeline/linefilter.h"
#include "pipeline/selector.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Prints what it could parse. False: a fault. */
static bool parse(struct str src, struct arena *a, struct buf *out, bool compile)
{
	struct err e = ERR_INIT;
	struct lex lx;
	struct selector s;
	struct linefilter f[16];
	size_t n = 0;
	lex_init(&lx, src, a, 0, &e);
	if (!selector_parse(&lx, &s)) return false;
	selector_print(out, &s);
	selector_check(&s, &e);
	selector_fini(&s);
	while (n < 16 && linefilter_starts(lx.tok.kind)) {
		if (!linefilter_parse(&lx, &f[n])) return false;
		buf_ch(out, ' ');
		linefilter_print(out, &f[n++]);
	}
	struct linefilters *g = compile ? linefilters_new(f, n, NULL, &e) : NULL;
	if (g) linefilters_match(g, src);
	linefilters_free(g);
	return lx.tok.kind == TOK_EOF;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a;
	struct err e = ERR_INIT;
	struct lex lx;
	struct buf once = {0}, twice = {0};
	struct str src = str_of((const char *)data, n);
	if (n > 1024) return 0;
	arena_init(&a, 0);
	lex_init(&lx, src, &a, 0, &e);
	while (lx.tok.kind != TOK_EOF && lx.tok.kind != TOK_ERROR) lex_next(&lx);
	bool counted = str_chr(src, '{') != str_rchr(src, '{');
	if (parse(src, &a, &once, !counted)) {
		if (!parse(buf_view(&once), &a, &twice, false) || !str_eq(buf_view(&once), buf_view(&twice))) abort();
	}
	buf_free(&once);
	buf_free(&twice);
	arena_free(&a);
	return 0;
}
