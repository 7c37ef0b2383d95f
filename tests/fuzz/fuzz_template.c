/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a template of either function set: compiling and running must end within their bounds. */
#include "pipeline/template.h"

#include <stdlib.h>

static bool get(void *ud, struct str name, struct tval *out)
{
	(void)ud;
	if (name.n != 1) return false;
	*out = (struct tval){.kind = TVAL_STR, .s = name};
	return true;
}

static struct tval_map all(void *ud, struct arena *a)
{
	(void)ud, (void)a;
	static struct str keys[] = {{"a", 1}, {"b", 1}};
	static struct tval v[] = {{.kind = TVAL_STR, .s = {"x", 1}}, {.kind = TVAL_STR, .s = {"1h", 2}}};
	return (struct tval_map){keys, v, 2};
}

static void once(struct str text, const struct template_funcs *funcs)
{
	struct template_data d = {.get = get, .all = all, .line = STR("{\"k\":[1,\"v\"]}"), .ts = 1793493369981342370};
	struct err e = ERR_INIT;
	struct template *t = template_compile(text, "fuzz", funcs, &e);
	struct arena a;
	struct buf out = {0};
	if (!t) return;
	arena_init(&a, 0);
	template_run(t, &d, &out, &a, &e);
	if (out.n > 2 * TEMPLATE_MAX_OUTPUT) abort();
	buf_free(&out);
	arena_free(&a);
	template_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = str_of((const char *)data, n);
	once(text, template_funcs_logql());
	once(text, template_funcs_agent());
	return 0;
}
