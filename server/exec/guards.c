/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/guards.h"

#include "common/units.h"
#include "server/exec/op_scan.h"

/* ---- what is read ---- */

struct reading {
	struct query *q;
	int64_t oldest; /* by max_query_lookback */
	void (*fn)(void *ud, const struct exec_read *r);
	void *ud;
	bool ok;
	struct err *e;
};

static int64_t earlier(int64_t t, int64_t by)
{
	int64_t out;
	if (__builtin_sub_overflow(t, by, &out)) return by > 0 ? INT64_MIN : INT64_MAX;
	return out;
}

static void read_log(void *ud, const struct logql_log *log, const struct logql_range *r)
{
	struct reading *x = ud;
	const struct exec_query *in = x->q->in;
	struct exec_read out = {&log->selector, in->instant ? in->end : in->start, in->end, {0}};
	if (r) {
		out.from = earlier(earlier(out.from, r->interval), r->offset);
		out.to = earlier(out.to, r->offset);
	}
	if (out.from < x->oldest) out.from = x->oldest;
	for (size_t i = 0; x->ok && out.from < out.to && i < in->n_sources; i++) {
		struct reader_stats st = {0};
		struct scan_task t = {.src = &in->sources[i]};
		if (!scan_select(x->q, &log->selector, &t)) continue;
		x->ok = snapshot_stats(t.src->snap, t.matchers, t.n_matchers, out.from, out.to, &st, x->e);
		out.stats.streams += st.streams;
		out.stats.chunks += st.chunks;
		out.stats.entries += st.entries;
		out.stats.bytes += st.bytes;
	}
	if (x->ok) x->fn(x->ud, &out);
}

static bool each_read(struct query *q, void (*fn)(void *ud, const struct exec_read *r), void *ud, struct err *e)
{
	int64_t back = q->in->limits->max_query_lookback;
	struct reading x = {q, back > 0 ? clock_wall(q->clock) - back : INT64_MIN, fn, ud, true, e};
	logql_each_log(q->ast->root, read_log, &x);
	return x.ok;
}

/* ---- blocked_queries ---- */

/* FNV-1, as Loki's `hash` is made. */
static uint32_t hash_of(struct str s)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < s.n; i++) h = (h * 16777619u) ^ (unsigned char)s.p[i];
	return h;
}

static void note_filters(void *ud, const struct logql_log *log, const struct logql_range *r)
{
	bool *filters = ud;
	(void)r;
	for (size_t i = 0; i < log->n_stages; i++)
		*filters |= log->stages[i].kind == LOGQL_STAGE_LINE_FILTERS ||
			    log->stages[i].kind == LOGQL_STAGE_LABEL_FILTER;
}

static const char *type_of(const struct logql_expr *x)
{
	bool filters = false;
	if (!logql_is_log(x)) return "metric";
	logql_each_log(x, note_filters, &filters);
	return filters ? "filter" : "limited";
}

struct str exec_tag(struct str tags, struct str name)
{
	struct str one, key;
	for (bool more = tags.n > 0; more;) {
		more = str_cut(&tags, ',', &one);
		if (str_cut(&one, '=', &key) && str_ieq(str_trim(key), name)) return str_trim(one);
	}
	return STR_NULL;
}

static bool has_tags(struct str tags, const struct labels *want)
{
	for (size_t i = 0; i < want->n; i++) {
		struct str v = exec_tag(tags, want->v[i].name);
		if (!v.p || !str_ieq(v, want->v[i].value)) return false;
	}
	return true;
}

static bool has_text(const struct limits_blocked_query *b, struct str text)
{
	if (b->hash) return (uint32_t)b->hash == hash_of(text);
	if (!b->pattern.n || str_eq(str_trim(b->pattern), str_trim(text))) return true;
	return b->re && regex_match(b->re, text);
}

static bool is_blocked(const struct query *q)
{
	const struct conf_list *all = &q->in->limits->blocked_queries;
	const struct limits_blocked_query *v = all->v;
	const char *type = type_of(q->ast->root);
	for (size_t i = 0; i < all->n; i++) {
		bool typed = v[i].types.n == 0;
		for (size_t k = 0; k < v[i].types.n; k++) typed |= str_eqc(v[i].types.v[k], type);
		if (typed && has_text(&v[i], q->in->text) && has_tags(q->in->tags, &v[i].query_tags)) return true;
	}
	return false;
}

static bool check_blocked(struct query *q, struct err *e)
{
	if (!is_blocked(q)) return true;
	if (q->blocked && q->in->n_sources) q->blocked(q->ud, q->in->sources[0].tenant);
	return err_set(e, ERR_INVALID, "query blocked by policy");
}

/* ---- selectors ---- */

struct limit_check {
	struct query *q;
	struct err *e;
	bool ok;
};

static bool required_labels(const struct selector *s, const struct conf_strs *need, struct err *e)
{
	struct buf missing = {0}, present = {0};
	for (size_t i = 0; i < s->n; i++) buf_printf(&present, "%s%.*s", i ? ", " : "", STR_ARG(s->v[i].name));
	for (size_t k = 0; k < need->n; k++) {
		bool found = false;
		for (size_t i = 0; i < s->n; i++) found |= str_eq(s->v[i].name, need->v[k]);
		if (!found) buf_printf(&missing, "%s%.*s", missing.n ? ", " : "", STR_ARG(need->v[k]));
	}
	bool ok = missing.n == 0;
	if (!ok)
		err_set(e, ERR_INVALID,
			"stream selector is missing required matchers [%.*s], labels present in the query were [%.*s]; "
			"the setting is "
			"required_labels",
			STR_ARG(buf_view(&missing)), STR_ARG(buf_view(&present)));
	buf_free(&missing);
	buf_free(&present);
	return ok;
}

static bool minimum_labels(const struct selector *s, int64_t need, struct err *e)
{
	if (need <= 0 || s->n >= (size_t)need) return true;
	struct buf present = {0};
	for (size_t i = 0; i < s->n; i++) buf_printf(&present, "%s%.*s", i ? ", " : "", STR_ARG(s->v[i].name));
	err_set(e, ERR_INVALID,
		"stream selector has less label matchers than required: (present: [%.*s], number_present: %zu, "
		"required_number_label_matchers: %lld); the setting is minimum_labels_number",
		STR_ARG(buf_view(&present)), s->n, (long long)need);
	buf_free(&present);
	return false;
}

static bool interval_limit(const struct logql_range *r, int64_t max, struct err *e)
{
	if (!r || max <= 0 || r->interval <= max) return true;
	struct buf have = {0}, may = {0};
	units_dur_prom_print(&have, r->interval);
	units_dur_prom_print(&may, max);
	err_set(e, ERR_INVALID, "[interval] value exceeds limit: [%s] > [%s]; the setting is max_query_range",
		buf_cstr(&have), buf_cstr(&may));
	buf_free(&have);
	buf_free(&may);
	return false;
}

static void check_log(void *ud, const struct logql_log *log, const struct logql_range *r)
{
	struct limit_check *c = ud;
	const struct limits *l = c->q->in->limits;
	if (!c->ok) return;
	int64_t max = l->max_streams_matchers_per_query;
	if (max > 0 && log->selector.n > (size_t)max)
		c->ok = err_set(
			c->e, ERR_INVALID,
			"max streams matchers per query exceeded, matchers-count > limit (%zu > %lld); the setting is "
			"max_streams_matchers_per_query",
			log->selector.n, (long long)max);
	c->ok = c->ok && required_labels(&log->selector, &l->required_labels, c->e) &&
		minimum_labels(&log->selector, l->minimum_labels_number, c->e) &&
		interval_limit(r, l->max_query_range, c->e);
}

/* ---- the whole ---- */

static bool check_length(const struct exec_query *in, struct err *e)
{
	int64_t max = in->limits->max_query_length, have;
	if (__builtin_sub_overflow(in->end, in->start, &have)) have = INT64_MAX;
	if (in->instant || max <= 0 || have <= max) return true;
	struct buf x = {0}, y = {0};
	units_dur_go_print(&x, have);
	units_dur_prom_print(&y, max);
	err_set(e, ERR_INVALID,
		"the query time range exceeds the limit (query length: %s, limit: %s); the setting is max_query_length",
		buf_cstr(&x), buf_cstr(&y));
	buf_free(&x);
	buf_free(&y);
	return false;
}

static void add_bytes(void *ud, const struct exec_read *r) { *(uint64_t *)ud += r->stats.bytes; }

static bool check_bytes(struct query *q, struct err *e)
{
	uint64_t max = q->in->limits->max_query_bytes_read, bytes = 0;
	if (max == 0) return true;
	if (!each_read(q, add_bytes, &bytes, e)) return false;
	if (bytes <= max) return true;
	struct buf x = {0}, y = {0};
	units_bytes_human_print(&x, bytes);
	units_bytes_human_print(&y, max);
	err_set(e, ERR_INVALID,
		"the query would read too many bytes (query: %s, limit: %s); consider adding more specific stream "
		"selectors or reduce the time range of the query; the setting is max_query_bytes_read",
		buf_cstr(&x), buf_cstr(&y));
	buf_free(&x);
	buf_free(&y);
	return false;
}

bool guards_check(struct query *q, struct err *e)
{
	const struct exec_query *in = q->in;
	int64_t max = in->limits->max_entries_limit_per_query;
	if (!check_blocked(q, e) || !check_length(in, e)) return false;
	if (logql_is_log(q->ast->root) && max > 0 && in->limit > max)
		return err_set(e, ERR_INVALID,
			       "max entries limit per query exceeded, limit > max_entries_limit_per_query (%u > %lld)",
			       in->limit, (long long)max);
	struct limit_check c = {q, e, true};
	logql_each_log(q->ast->root, check_log, &c);
	return c.ok && check_bytes(q, e);
}

bool exec_estimate(struct exec_engine *en, const struct exec_query *in, void (*fn)(void *ud, const struct exec_read *r),
		   void *ud, struct err *refusal, struct err *e)
{
	struct query q;
	query_init(&q, en, in);
	bool ok = query_read(&q, e);
	if (ok) guards_check(&q, refusal);
	ok = ok && each_read(&q, fn, ud, e);
	query_fini(&q);
	return ok;
}
