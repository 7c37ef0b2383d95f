/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file through environment expansion and a table with every kind of row: what decodes is printed, and what is
 * printed decodes and prints as the same. */
#include "common/conf.h"

#include "common/labels.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
	struct str name, secret;
	int64_t wait;
};

struct sample {
	bool b;
	int64_t i, go, prom;
	double f;
	struct str s;
	uint64_t bytes;
	int e;
	struct conf_strs list, csv;
	struct labels map;
	struct conf_list items;
	struct yaml *node;
};

static const char *const names[] = {"debug", "info", "yes", NULL};

static const struct conf_field item_fields[] = {
	{.key = "name", .kind = CONF_STR, .off = offsetof(struct item, name), .def = "x"},
	{.key = "secret", .kind = CONF_SECRET, .off = offsetof(struct item, secret)},
	{.key = "wait", .kind = CONF_DUR_GO, .off = offsetof(struct item, wait), .def = "1s"},
	{0},
};
static const struct conf_table item_table = {"item", sizeof(struct item), item_fields};

static const struct conf_field block_fields[] = {
	{.key = "b", .kind = CONF_BOOL, .off = offsetof(struct sample, b), .def = "true", .flag = "block.b"},
	{.key = "i", .kind = CONF_INT, .off = offsetof(struct sample, i), .min = -5, .max = 1000},
	{.key = "f", .kind = CONF_FLOAT, .off = offsetof(struct sample, f)},
	{.key = "s", .kind = CONF_STR, .off = offsetof(struct sample, s)},
	{.key = "list", .kind = CONF_STR_LIST, .off = offsetof(struct sample, list)},
	{.key = "gone", .kind = CONF_REFUSED, .doc = "Remove it."},
	{0},
};
static const struct conf_table block_table = {"block", sizeof(struct sample), block_fields, .lenient = true,
					      .any_case = true};

static const struct conf_field fields[] = {
	{.key = "block", .kind = CONF_OBJ, .sub = &block_table},
	{.key = "go", .kind = CONF_DUR_GO, .off = offsetof(struct sample, go)},
	{.key = "prom", .kind = CONF_DUR_PROM, .off = offsetof(struct sample, prom), .min = 0, .max = INT64_MAX},
	{.key = "bytes", .kind = CONF_BYTES, .off = offsetof(struct sample, bytes)},
	{.key = "enum", .kind = CONF_ENUM, .off = offsetof(struct sample, e), .names = names},
	{.key = "csv", .kind = CONF_STR_LIST, .off = offsetof(struct sample, csv), .csv = true, .flag = "csv"},
	{.key = "map", .kind = CONF_STR_MAP, .off = offsetof(struct sample, map), .flag = "map"},
	{.key = "items", .kind = CONF_LIST, .off = offsetof(struct sample, items), .sub = &item_table},
	{.key = "node", .kind = CONF_NODE, .off = offsetof(struct sample, node)},
	{.key = "ring", .kind = CONF_IGNORED},
	{0},
};
static const struct conf_table table = {"sample", sizeof(struct sample), fields};

static void check(bool ok)
{
	if (!ok) abort();
}

static const char *env(const char *name)
{
	return name[0] == 'V' ? "a value/with.parts" : name[0] == 'N' ? "3" : name[0] == 'E' ? "" : NULL;
}

/* True when text decodes; out gets what is printed. */
static bool decode(struct arena *a, struct str text, struct buf *out)
{
	struct err e = ERR_INIT;
	struct sample s;
	struct conf_ctx c = {.arena = a, .file = "f"};
	const struct yaml *n = yaml_parse(a, text, &e);
	conf_defaults(&table, &s, a);
	if (!n || !conf_decode(&table, n, &s, &c, &e)) {
		check(e.code != ERR_NONE && e.msg[0]);
		return false;
	}
	conf_print(&table, &s, out);
	return true;
}

static void try_flags(struct arena *a, struct str value)
{
	static const char *const flags[] = {"block.b", "csv", "map", "nope"};
	struct sample s;
	conf_defaults(&table, &s, a);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct err e = ERR_INIT;
		if (!conf_set_flag(&table, &s, a, str_c(flags[i]), value, &e)) check(e.code != ERR_NONE && e.msg[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	struct arena a;
	struct buf text = {0}, once = {0}, twice = {0};
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	if (!conf_expand_env(in, env, &text, &e)) {
		check(e.msg[0] && e.line >= 1 && e.col >= 1);
	} else if (text.n < 1 << 20 && decode(&a, buf_view(&text), &once)) {
		check(decode(&a, buf_view(&once), &twice));
		check(str_eq(buf_view(&once), buf_view(&twice)));
	}
	try_flags(&a, in);
	buf_free(&text);
	buf_free(&once);
	buf_free(&twice);
	arena_free(&a);
	return 0;
}
