/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An expression, a NUL, a document: whatever compiles and parses gives a value that prints as JSON, or an error. */
#include "pipeline/extract/jmespath.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str doc = str_of((const char *)data, size), expr;
	struct arena a;
	struct err e = ERR_INIT;
	struct buf out = {0};
	struct json_out o;
	arena_init(&a, 0);
	str_cut(&doc, '\0', &expr);
	struct jmespath *j = jmespath_compile(expr, &e);
	if (!j && str_find(str_c(e.msg), STR("SyntaxError: ")) != 0) abort();
	const struct jval *root = jval_parse(&a, doc, &e);
	const struct jval *v = j && root ? jmespath_search(j, root, &a, &e) : NULL;
	if (v && a.used < (16u << 20)) { /* shared parts print many times over */
		json_out_init(&o, &out, true);
		jval_print(v, &o);
		if (!jval_parse(&a, buf_view(&out), &e)) abort();
	}
	buf_free(&out);
	jmespath_free(j);
	arena_free(&a);
	return 0;
}
