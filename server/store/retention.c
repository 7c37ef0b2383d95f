/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/retention.h"

#include "common/log.h"
#include "common/units.h"

#include <stdlib.h>

struct rule {
	struct selector selector;
	int64_t priority, period;
};

struct retention {
	int64_t period;            /* of what no rule matches; 0: for ever */
	int64_t shortest, longest; /* of period and rules; INT64_MAX: for ever */
	struct rule *rules;
	size_t n;
	uint64_t id;
	struct arena arena;
};

static int64_t or_ever(int64_t period) { return period ? period : INT64_MAX; }

static bool parse(struct str text, struct arena *a, struct selector *s, struct err *e)
{
	struct lex lx;
	lex_init(&lx, text, a, 0, e);
	return selector_parse(&lx, s);
}

struct retention *retention_new(const struct limits *l)
{
	struct retention *r = mem_zalloc(sizeof *r);
	const struct limits_retention_stream *v = l->retention_stream.v;
	arena_init(&r->arena, 0);
	r->period = l->retention_period;
	r->shortest = r->longest = or_ever(r->period);
	struct buf id = {0};
	buf_le64(&id, (uint64_t)r->period);
	r->rules = arena_alloc(&r->arena, (l->retention_stream.n + 1) * sizeof *r->rules);
	for (size_t i = 0; i < l->retention_stream.n; i++) {
		struct err e = ERR_INIT;
		struct rule rule = {.priority = v[i].priority, .period = v[i].period};
		if (!parse(v[i].selector, &r->arena, &rule.selector, &e)) continue;
		r->rules[r->n++] = rule;
		buf_lpstr(&id, v[i].selector);
		buf_le64(&id, (uint64_t)rule.priority);
		buf_le64(&id, (uint64_t)rule.period);
		if (rule.period < r->shortest) r->shortest = rule.period;
		if (rule.period > r->longest) r->longest = rule.period;
	}
	r->id = str_hash(buf_view(&id)) | 1;
	buf_free(&id);
	return r;
}

uint64_t retention_id(const struct retention *r) { return r->id; }

void retention_free(struct retention *r)
{
	if (!r) return;
	for (size_t i = 0; i < r->n; i++) selector_fini(&r->rules[i].selector);
	arena_free(&r->arena);
	free(r);
}

static int64_t period_of(const struct retention *r, const struct labels *stream, enum catalog_cut_reason *reason)
{
	const struct rule *best = NULL;
	for (size_t i = 0; i < r->n; i++) {
		const struct rule *k = &r->rules[i];
		if (best &&
		    (k->priority < best->priority || (k->priority == best->priority && k->period >= best->period)))
			continue;
		if (selector_match(&k->selector, stream)) best = k;
	}
	*reason = best ? CATALOG_CUT_STREAM : CATALOG_CUT_PERIOD;
	return or_ever(best ? best->period : r->period);
}

static int64_t minus(int64_t a, int64_t b) { return a < INT64_MIN + b ? INT64_MIN : a - b; }

/* When an entry of that time is past the period: kept are those with ts >= now - period. */
static int64_t past_at(int64_t ts, int64_t period)
{
	return period == INT64_MAX || ts > INT64_MAX - 1 - period ? INT64_MAX : ts + period + 1;
}

int64_t retention_keep_from(const struct retention *r, const struct labels *stream, int64_t now,
			    enum catalog_cut_reason *reason)
{
	int64_t period = period_of(r, stream, reason);
	return period == INT64_MAX ? INT64_MIN : minus(now, period);
}

struct retention_bounds retention_bounds(const struct retention *r, int64_t min_ts, int64_t max_ts)
{
	struct retention_bounds b = {past_at(r->n ? min_ts : max_ts, r->shortest), past_at(max_ts, r->longest),
				     r->n == 0};
	return b;
}

static void tally(struct retention_look *out, const struct segment_stream *st, enum catalog_cut_reason reason)
{
	struct retention_tally *t = &out->past[reason];
	if (t->rows == 0 || st->min_ts < t->min_ts) t->min_ts = st->min_ts;
	if (t->rows == 0 || st->max_ts > t->max_ts) t->max_ts = st->max_ts;
	t->rows += st->rows;
	t->bytes += st->bytes;
	out->rows += st->rows;
	out->bytes += st->bytes;
}

bool retention_look(const struct retention *r, struct segment_view *view, int64_t now, struct retention_look *out,
		    struct err *e)
{
	struct label *v = NULL;
	size_t cap = 0;
	bool ok = true;
	*out = (struct retention_look){.since = INT64_MAX, .next = INT64_MAX};
	for (uint32_t i = 0; ok && i < view->root->nstreams; i++) {
		struct segment_stream st;
		enum catalog_cut_reason reason;
		ok = segment_view_stream(view, i, &st, e);
		if (!ok) break;
		if (st.npairs > cap) v = mem_realloc(v, (cap = 2 * (size_t)st.npairs) * sizeof *v);
		segment_labels(view->page, &st, v);
		int64_t at = past_at(st.max_ts, period_of(r, &(struct labels){v, st.npairs}, &reason));
		if (at > now) {
			if (at < out->next) out->next = at;
			continue;
		}
		if (at < out->since) out->since = at;
		tally(out, &st, reason);
	}
	free(v);
	return ok;
}

bool retention_worthwhile(const struct retention_look *l, uint64_t bytes, int64_t now)
{
	return l->rows && (l->bytes >= bytes / 4 || l->since <= minus(now, UNITS_DAY));
}

void retention_log(struct str tenant, const struct catalog_cut *c)
{
	struct buf from = {0}, to = {0};
	units_rfc3339_print(&from, c->min_ts);
	units_rfc3339_print(&to, c->max_ts);
	log_info("retention removed entries", kv_str("tenant", tenant), kv_c("reason", catalog_cut_name(c->reason)),
		 kv_i("segments", (int64_t)c->segments), kv_i("entries", (int64_t)c->rows),
		 kv_i("bytes", (int64_t)c->bytes), kv_str("oldest", buf_view(&from)), kv_str("newest", buf_view(&to)));
	buf_free(&from);
	buf_free(&to);
}
