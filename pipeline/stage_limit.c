/* SPDX-License-Identifier: GPL-2.0-or-later */
/* limit: a token bucket, one for all entries or one per value of a label. Entries beyond it are dropped, or, without
 * drop, wait in line; a stage with HELD_MAX of them waiting says that it is full, so that the sources are read no
 * further. */
#include "common/units.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/stage.h"
#include "pipeline/streams.h"

#include <stdlib.h>

#define HELD_MAX         1000
#define DISTINCT_DEFAULT 10000

struct conf {
	double rate;
	int64_t burst, max_distinct;
	bool drop;
	struct str by_label, reason;
};
struct bucket {
	struct stream stream; /* by label: of {label=value} */
	double tokens;
	int64_t at; /* mono ns of the last refill */
	bool used;  /* before the first use it is full */
};
struct held {
	struct held *next;
	struct kept *entry;
};
struct state {
	struct bucket all;
	struct streams buckets;
	struct held *first, **end; /* waiting, oldest first */
	size_t n;
	struct custom_family *dropped; /* by label */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!(c->rate > 0)) return stage_refuse(body, "rate", e, "rate must be set: lines per second, more than 0");
	if (c->burst <= 0) return stage_refuse(body, "burst", e, "burst must be set: lines at once, more than 0");
	if (c->by_label.n && !c->drop)
		return stage_refuse(body, "by_label_name", e,
				    "by_label_name needs drop: true; lines of one label cannot wait");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->end = &st->first;
	size_t max = c->max_distinct < DISTINCT_DEFAULT ? DISTINCT_DEFAULT : (size_t)c->max_distinct;
	streams_init(&st->buckets, sizeof(struct bucket), max);
	if (!c->by_label.n || !s->env->metrics) return true;
	const struct custom_spec spec = {.name = STR("logentry_dropped_lines_by_label_total"),
					 .help = STR("Lines dropped by limit stages, by label."),
					 .kind = CUSTOM_COUNTER};
	st->dropped = custom_family_open(s->env->metrics, &spec, e);
	return st->dropped;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (struct held *h = st->first, *next; h; h = next) {
		next = h->next;
		kept_free(h->entry);
		free(h);
	}
	streams_fini(&st->buckets);
	custom_family_close(st->dropped);
}

static void refill(const struct conf *c, struct bucket *k, int64_t now)
{
	double full = (double)c->burst;
	k->tokens = k->used ? k->tokens + (double)(now - k->at) / UNITS_SEC * c->rate : full;
	if (k->tokens > full) k->tokens = full;
	k->at = now;
	k->used = true;
}

static bool take(const struct conf *c, struct bucket *k, int64_t now)
{
	refill(c, k, now);
	if (k->tokens < 1) return false;
	k->tokens--;
	return true;
}

static struct bucket *bucket_of(struct state *st, const struct labels *value)
{
	struct bucket *k = streams_find(&st->buckets, value);
	if (k) return k;
	if (streams_full(&st->buckets)) streams_remove(&st->buckets, streams_oldest(&st->buckets));
	return streams_add(&st->buckets, value);
}

static void limit_by_label(struct stage *s, struct entry *e, int64_t now)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct label l[2] = {{STR("label_name"), c->by_label},
			     {STR("label_value"), labels_get(&e->labels, c->by_label)}};
	if (!l[1].value.p) return;
	streams_begin(&st->buckets); /* l is not one array for one set */
	if (take(c, bucket_of(st, &(struct labels){l, 2}), now)) return;
	if (st->dropped) {
		custom_family_begin(st->dropped);
		custom_add(st->dropped, &(struct labels){l, 2}, 1);
	}
	stage_drop_entry(s, e, c->reason);
}

static void hold(struct state *st, struct entry *e)
{
	struct held *h = mem_zalloc(sizeof *h);
	h->entry = entry_keep(e);
	*st->end = h;
	st->end = &h->next;
	st->n++;
}

static void release(struct state *st, struct batch *b)
{
	struct held *h = st->first;
	kept_emit(h->entry, b);
	kept_free(h->entry);
	st->first = h->next;
	if (!st->first) st->end = &st->first;
	free(h);
	st->n--;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	int64_t now = clock_mono(s->env->clock);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		if (c->by_label.n)
			limit_by_label(s, e, now);
		else if (!st->n && take(c, &st->all, now))
			continue;
		else if (c->drop)
			stage_drop_entry(s, e, c->reason);
		else
			hold(st, e);
	}
}

static int64_t deadline(const struct stage *s)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	if (!st->n) return INT64_MAX;
	double wait = (1 - st->all.tokens) / c->rate * UNITS_SEC; /* ns; tokens as of all.at */
	if (wait < 1) wait = 1;
	return wait < 0x1p60 ? st->all.at + (int64_t)wait + 1 : INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	struct state *st = s->state;
	while (st->n && take(s->conf, &st->all, now)) release(st, b);
}

static void flush(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	while (st->n) release(st, b);
}

static bool full(const struct stage *s) { return ((const struct state *)s->state)->n >= HELD_MAX; }

static const struct conf_field fields[] = {
	{.key = "rate", .kind = CONF_FLOAT, .off = offsetof(struct conf, rate), .doc = "Lines per second."},
	{.key = "burst", .kind = CONF_INT, .off = offsetof(struct conf, burst), .doc = "Lines that may come at once."},
	{.key = "drop",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, drop),
	 .doc = "Drop what exceeds the limit instead of waiting."},
	{.key = "by_label_name",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, by_label),
	 .doc = "One limit for each value of this label; entries without it are not limited."},
	{.key = "max_distinct_labels",
	 .kind = CONF_INT,
	 .off = offsetof(struct conf, max_distinct),
	 .def = "10000",
	 .doc = "Most values of by_label_name that are told apart, at least 10000."},
	{.key = "drop_counter_reason",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, reason),
	 .def = "ratelimit_drop_stage",
	 .doc = "Reason that dropped entries are counted under."},
	{0},
};
static const struct conf_table table = {"limit stage",   sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_limit = {
	.name = "limit",
	.doc = "Limits the rate of entries.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
	.full = full,
};
