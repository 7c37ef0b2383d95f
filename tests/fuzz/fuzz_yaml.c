/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes give a tree or an error with a place; any UTF-8 text survives printing as a string. */
#include "common/yaml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

/* Every node below; shared ones again and again, up to a budget. */
static void walk(const struct yaml *n, int depth, size_t *budget)
{
	check(n->line >= 1 && n->col >= 1 && depth <= YAML_DEPTH_MAX * YAML_DEPTH_MAX);
	if (!*budget) return;
	--*budget;
	for (size_t i = 0; i < n->n; i++) {
		if (n->kind == YAML_MAP) {
			check(n->pairs[i].key->kind == YAML_SCALAR);
			walk(n->pairs[i].val, depth + 1, budget);
		} else {
			check(n->kind == YAML_LIST);
			walk(n->items[i], depth + 1, budget);
		}
	}
}

static void check_print(struct arena *a, struct str s)
{
	struct buf b = {0};
	struct err e = ERR_INIT;
	buf_c(&b, "k: ");
	yaml_print_str(&b, s);
	const struct yaml *v = yaml_get(yaml_parse(a, buf_view(&b), &e), "k");
	check(v && v->kind == YAML_SCALAR && str_eq(v->text, s));
	bool is_bool;
	check(!yaml_is_null(v) && !yaml_bool(v, &is_bool));
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	const struct yaml *n = yaml_parse(&a, in, &e);
	if (n) {
		size_t budget = 10000;
		walk(n, 1, &budget);
	} else {
		check(e.code != ERR_NONE && e.msg[0] && e.line >= 1 && e.col >= 1);
	}
	if (str_utf8_valid(in)) check_print(&a, in);
	arena_free(&a);
	return 0;
}
