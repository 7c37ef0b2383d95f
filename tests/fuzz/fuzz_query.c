/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a query, as a range and at an instant, over a few entries: answered or refused, in bounded time and
 * memory, and what is answered can be printed. */
#include "server/exec/exec.h"

#include "common/units.h"
#include "server/http/respond.h"
#include "tests/unit/server/fake_reader.h"

#include <stdlib.h>

#define SEC(t) ((int64_t)(t)*UNITS_SEC)

static struct store store;
static struct exec_engine *engine;
static struct limits limits = {.max_query_series = 50,
			       .max_streams_matchers_per_query = 100,
			       .query_timeout = 2 * UNITS_SEC,
			       .enable_multi_variant_queries = true};

static void fill(void)
{
	static const char *const lines[] = {
		"level=info status=200 took=10ms size=1kB ip=10.0.0.1",
		"{\"a\":{\"b\":[1,2]},\"n\":1.5,\"s\":\"\\u00e9\"}",
		"\x1b[31mred\x1b[0m \xff",
		"{\"_entry\":\"x=1\",\"pod\":\"p\"}",
		"",
	};
	fake_init(&store);
	engine = exec_engine_new(&(struct exec_config){0, &clock_real, 8 << 20});
	for (int i = 0; i < 40; i++)
		fake_add(&store, "fake", i % 3 ? "{a=\"b\"}" : "{a=\"c\",k=\"v\"}", SEC(i), str_c(lines[i % 5]),
			 i % 4 ? "{}" : "{m=\"1\",a=\"x\"}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct str text, bool instant, bool extensions)
{
	struct exec_source src = {STR("fake"), snapshot_take(&store, STR("fake"))};
	struct exec_query q = {
		.text = text,
		.instant = instant,
		.extensions = extensions,
		.end = SEC(60),
		.step = SEC(7),
		.limit = 10,
		.categorize = instant,
		.sources = &src,
		.n_sources = 1,
		.limits = &limits,
	};
	struct err e = ERR_INIT;
	struct buf b = {0};
	struct exec_result *r = exec_run(engine, &q, &e);
	if (r)
		respond_query(&b, r, false);
	else if (e.code == ERR_NONE || !e.msg[0])
		abort();
	exec_result_free(r);
	buf_free(&b);
	snapshot_free(src.snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!engine) fill();
	if (size > 4096) return 0;
	for (int i = 0; i < 4; i++) run(str_of((const char *)data, size), i & 1, i & 2);
	return 0;
}
