/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/lines.h"

#include "common/units.h"

#include <stdlib.h>

/* What a group costs besides its entry and its key's bytes: slots of the map are at least a quarter empty, and half
 * after it has grown. */
#define GROUP_BYTES (4 * sizeof(struct map_slot))

struct group {
	struct kept *first; /* in time */
	uint64_t count;
};

void lines_init(struct lines *l, struct query *q, const struct plan *p)
{
	*l = (struct lines){.q = q, .group = p->group, .sort = p->sort};
	arena_init(&l->keys, 0);
}

void lines_free(struct lines *l)
{
	for (struct map_slot *s = NULL; (s = map_next(&l->groups, s));) free(((struct group *)s->val)->first);
	map_free(&l->groups);
	buf_free(&l->key);
	arena_free(&l->keys);
}

/* ---- sort ---- */

static bool number_of(struct str text, double *out)
{
	struct err ignored = ERR_INIT;
	int64_t ns;
	uint64_t bytes;
	if (str_to_f64(text, out)) return *out == *out;
	if (units_dur_any(text, &ns, &ignored)) {
		*out = (double)ns / 1e9;
		return true;
	}
	if (!units_bytes_human(text, &bytes, &ignored)) return false;
	*out = (double)bytes;
	return true;
}

static void set_sort_key(const struct lines *l, struct kept *k)
{
	if (!l->sort) return;
	k->key = l->sort->n_by ? kept_label(k, l->sort->by[0]) : k->line;
	k->numeric = k->key.p && number_of(k->key, &k->number);
}

/* Numbers come before texts; entries without the label come last, whatever the direction. */
static int sort_order(const struct kept *a, const struct kept *b, bool desc)
{
	int c;
	if (!a->key.p || !b->key.p) return (b->key.p != NULL) - (a->key.p != NULL);
	if (a->numeric && b->numeric)
		c = a->number < b->number ? -1 : a->number > b->number;
	else if (a->numeric != b->numeric)
		c = a->numeric ? -1 : 1;
	else
		c = str_cmp(a->key, b->key);
	return desc ? -c : c;
}

static int by_count(const struct kept *a, const struct kept *b, bool forward)
{
	if (a->count != b->count) return a->count > b->count ? -1 : 1;
	return kept_order(a, b, forward);
}

int lines_order(const struct lines *l, const struct kept *a, const struct kept *b)
{
	bool forward = l->q->in->forward;
	int c = l->sort ? sort_order(a, b, l->sort->desc) : 0;
	if (c || l->sort) return c ? c : kept_order(a, b, forward);
	return lines_ordered(l) ? by_count(a, b, forward) : kept_order(a, b, forward);
}

/* ---- uniq and top ---- */

/* The values of the labels with their lengths before them, so that no two lists look alike; or the line. */
static struct str group_key(struct lines *l, const struct kept *k)
{
	buf_clear(&l->key);
	if (!l->group->n_by) return k->line;
	for (size_t i = 0; i < l->group->n_by; i++) {
		struct str v = kept_label(k, l->group->by[i]);
		uint32_t n = (uint32_t)v.n;
		buf_add(&l->key, (const char *)&n, sizeof n);
		buf_str(&l->key, v);
	}
	return buf_view(&l->key);
}

bool lines_take(struct lines *l, struct kept *k)
{
	if (!l->group) {
		set_sort_key(l, k);
		return false;
	}
	struct str key = group_key(l, k);
	struct group *g = map_get(&l->groups, key);
	if (!g) {
		g = ARENA_NEW(&l->keys, struct group);
		*g = (struct group){k, 0};
		query_charge(l->q, k->bytes + key.n + GROUP_BYTES);
		map_put(&l->groups, arena_str(&l->keys, key), g);
	} else if (kept_order(k, g->first, l->q->in->forward) < 0) {
		query_charge(l->q, k->bytes);
		query_release(l->q, g->first->bytes);
		free(g->first);
		g->first = k;
	} else {
		free(k);
	}
	g->count++;
	return true;
}

/* The entry of a group of top: its line and time, under the labels of the group and their count. */
static struct kept *counted(struct lines *l, struct kept *k)
{
	struct arena a;
	arena_init(&a, 0);
	struct label *v = arena_alloc(&a, (l->group->n_by + 1) * sizeof *v);
	struct row_base base = {.stream = k->stream};
	struct str count = STR("count");
	for (size_t i = 0; i < l->group->n_by; i++) {
		struct str name = l->group->by[i], value = kept_label(k, name);
		if (str_eq(name, count)) count = STR("count" ROW_EXTRACTED);
		if (value.n) v[base.labels.n++] = (struct label){name, value};
	}
	v[base.labels.n++] = (struct label){count, arena_printf(&a, "%llu", (unsigned long long)k->count)};
	base.labels.v = v;
	struct row r = {.ts = k->ts, .line = k->line, .base = &base};
	struct kept *to = kept_new(&a, &r, true);
	to->task = k->task;
	to->seq = k->seq;
	to->count = k->count;
	arena_free(&a);
	free(k);
	return to;
}

static int groups_order(const void *a, const void *b, void *ud)
{
	const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;
	return by_count(x, y, ((struct lines *)ud)->q->in->forward);
}

void lines_finish(struct lines *l, void (*fn)(void *ud, struct kept *k), void *ud)
{
	size_t n = 0;
	if (!l->group) return;
	struct kept **v = mem_alloc((l->groups.n + 1) * sizeof *v);
	for (struct map_slot *s = NULL; (s = map_next(&l->groups, s));) {
		struct group *g = s->val;
		g->first->count = g->count;
		v[n++] = g->first;
	}
	map_clear(&l->groups);
	bool top = l->group->kind == LOGQL_STAGE_TOP;
	if (top && n) qsort_r(v, n, sizeof *v, groups_order, l);
	for (size_t i = 0; i < n; i++) {
		if (top && i >= l->group->top) {
			free(v[i]);
			continue;
		}
		struct kept *k = top ? counted(l, v[i]) : v[i];
		set_sort_key(l, k);
		fn(ud, k);
	}
	free(v);
}
