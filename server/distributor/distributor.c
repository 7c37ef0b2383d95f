/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/distributor.h"

#include "common/units.h"
#include "proto/meta_name.h"
#include "server/distributor/level.h"
#include "server/distributor/ratelimit.h"
#include "server/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LABELS_TEXT_MAX  (16u << 20)
#define TEXTS_MAX        100 /* distinct refusals that one answer lists */
#define STREAM_TEXTS_MAX 10  /* entries listed for one stream over its rate */

struct distributor {
	struct clock *clock;
	struct metrics *metrics;
	struct ratelimit *tenants, *streams;
};

struct distributor *distributor_new(struct clock *c, struct metrics *m)
{
	struct distributor *d = mem_zalloc(sizeof *d);
	*d = (struct distributor){c, m, ratelimit_new(c), ratelimit_new(c)};
	return d;
}

void distributor_free(struct distributor *d)
{
	if (!d) return;
	ratelimit_free(d->tenants);
	ratelimit_free(d->streams);
	free(d);
}

/* Bytes of a stream's survivors: metadata as sent, detected_level not counted. */
struct sizes {
	size_t lines, meta;
};

/* Refusals of one push, equal texts counted. */
struct refusal {
	struct str text;
	size_t count;
};

struct check {
	struct distributor *d;
	const struct limits *l;
	struct arena *a;
	struct str tenant;
	int64_t now;
	struct level_rules level;
	struct sizes *sizes; /* of each stream in the result */
	struct refusal *refusals;
	size_t nrefusals, cap_refusals;
	struct str name; /* current stream's labels, printed when first needed */
	const struct labels *labels;
	struct label *level_sets[8]; /* one-pair metadata sets shared by the entries of a level */
	size_t nlevel_sets;
};

static struct str stream_name(struct check *c)
{
	if (!c->name.p) {
		struct buf b = {0};
		labels_print(&b, c->labels);
		c->name = arena_str(c->a, buf_view(&b));
		buf_free(&b);
	}
	return c->name;
}

static void count(struct check *c, enum server_metric samples, const char *reason, size_t lines, size_t bytes)
{
	struct str values[] = {str_c(reason), c->tenant};
	metrics_add(metrics_get(c->d->metrics, samples, values), (double)lines);
	metrics_add(metrics_get(c->d->metrics, samples + 1, values), (double)bytes);
}

static void refuse(struct check *c, const char *reason, size_t lines, size_t bytes, struct str text)
{
	count(c, METRIC_DISCARDED_SAMPLES, reason, lines, bytes);
	for (size_t i = 0; i < c->nrefusals; i++)
		if (str_eq(c->refusals[i].text, text)) {
			c->refusals[i].count++;
			return;
		}
	if (c->nrefusals == TEXTS_MAX) return;
	*ARENA_PUSH(c->a, c->refusals, c->nrefusals, c->cap_refusals) = (struct refusal){text, 1};
}

static struct str refusals_text(struct check *c)
{
	if (c->nrefusals == 1 && c->refusals[0].count == 1) return c->refusals[0].text;
	struct buf b = {0};
	for (size_t i = 0; i < c->nrefusals; i++)
		buf_printf(&b, "%s%zu errors like: %.*s", i ? "; " : "", c->refusals[i].count,
			   STR_ARG(c->refusals[i].text));
	struct str text = arena_str(c->a, buf_view(&b));
	buf_free(&b);
	return text;
}

/* ---- labels ---- */

static struct str service_name(const struct limits *l, const struct labels *labels)
{
	for (size_t i = 0; i < l->discover_service_name.n; i++) {
		struct str v = labels_get(labels, l->discover_service_name.v[i]);
		if (v.p) return v;
	}
	return STR("unknown_service");
}

static bool wants_service_name(const struct limits *l, const struct labels *labels)
{
	return l->discover_service_name.n && !labels_get(labels, STR("service_name")).p &&
	       !labels_get(labels, STR("__aggregated_metric__")).p && !labels_get(labels, STR("__pattern__")).p;
}

static void add_service_name(struct check *c, struct labels *labels)
{
	if (!wants_service_name(c->l, labels)) return;
	struct label *v = arena_alloc(c->a, (labels->n + 1) * sizeof *v);
	if (labels->n) memcpy(v, labels->v, labels->n * sizeof *v);
	v[labels->n] = (struct label){STR("service_name"), service_name(c->l, labels)};
	struct str dup;
	labels_sort(v, labels->n + 1, &dup);
	*labels = (struct labels){v, labels->n + 1};
}

static struct str missing_enforced(struct check *c)
{
	struct buf b = {0};
	for (size_t i = 0; i < c->l->enforced_labels.n; i++)
		if (!labels_get(c->labels, c->l->enforced_labels.v[i]).p)
			buf_printf(&b, "%s%.*s", b.n ? "," : "", STR_ARG(c->l->enforced_labels.v[i]));
	struct str text = b.n ? arena_str(c->a, buf_view(&b)) : STR_NULL;
	buf_free(&b);
	return text;
}

/* NULL when the stream's labels are fine, else the reason; *text is the refusal. */
static const char *check_labels(struct check *c, size_t given, struct str *text)
{
	const struct labels *v = c->labels;
	if (v->n == 0) {
		*text = STR("error at least one label pair is required per stream");
		return "missing_labels";
	}
	if ((int64_t)given > c->l->max_label_names_per_series) {
		*text = arena_printf(c->a, "entry for stream '%.*s' has %zu label names; limit %" PRId64,
				     STR_ARG(stream_name(c)), given, c->l->max_label_names_per_series);
		return "max_label_names_per_series";
	}
	for (size_t i = 0; i < v->n; i++) {
		const char *what = NULL, *reason = NULL;
		struct str name = v->v[i].name;
		if ((int64_t)name.n > c->l->max_label_name_length)
			what = "label name too long", reason = "label_name_too_long";
		else if ((int64_t)v->v[i].value.n > c->l->max_label_value_length)
			what = "label value too long", reason = "label_value_too_long", name = v->v[i].value;
		else if (i && str_eq(v->v[i - 1].name, name))
			what = "duplicate label name", reason = "duplicate_label_names";
		if (!what) continue;
		*text = arena_printf(c->a, "stream '%.*s' has %s: '%.*s'", STR_ARG(stream_name(c)), what,
				     STR_ARG(name));
		return reason;
	}
	struct str missing = missing_enforced(c);
	if (missing.p) {
		*text = arena_printf(c->a,
				     "missing required labels '%.*s' for user '%.*s' for stream '%.*s' (policy: '')",
				     STR_ARG(missing), STR_ARG(c->tenant), STR_ARG(stream_name(c)));
		return "missing_enforced_labels";
	}
	return NULL;
}

/* ---- structured metadata ---- */

static struct str meta_value(struct arena *a, struct str s)
{
	if (str_utf8_valid(s) && str_find(s, STR("\xef\xbf\xbd")) < 0) return s;
	struct buf b = {0};
	for (size_t i = 0; i < s.n;) {
		uint32_t r = str_rune(s, &i);
		buf_rune(&b, r == 0xFFFD ? ' ' : r);
	}
	struct str v = arena_str(a, buf_view(&b));
	buf_free(&b);
	return v;
}

/* Keeps the last pair of a name, as a map filled in order would. Returns the new n. */
static size_t meta_unique(struct label *v, size_t n)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		size_t at = 0;
		while (at < k && !str_eq(v[at].name, v[i].name)) at++;
		v[at] = v[i];
		if (at == k) k++;
	}
	struct str dup;
	labels_sort(v, k, &dup);
	return k;
}

/* False: a name that normalises to nothing. */
static bool normalise_meta(struct check *c, struct labels *meta)
{
	struct label *v = arena_alloc(c->a, (meta->n + 1) * sizeof *v); /* room for detected_level */
	for (size_t i = 0; i < meta->n; i++) {
		v[i] = (struct label){meta_name(c->a, meta->v[i].name), meta_value(c->a, meta->v[i].value)};
		if (!v[i].name.p) return false;
	}
	*meta = (struct labels){v, meta_unique(v, meta->n)};
	return true;
}

static void add_level(struct check *c, struct labels *meta, struct str level)
{
	if (meta->n) { /* normalise_meta() left room for one */
		struct str dup;
		size_t at = 0;
		while (at < meta->n && !str_eq(meta->v[at].name, STR("detected_level"))) at++;
		meta->v[at] = (struct label){STR("detected_level"), level};
		if (at == meta->n) meta->n++;
		labels_sort(meta->v, meta->n, &dup);
		return;
	}
	for (size_t i = 0; i < c->nlevel_sets; i++)
		if (str_eq(c->level_sets[i]->value, level)) {
			*meta = (struct labels){c->level_sets[i], 1};
			return;
		}
	struct label *v = ARENA_NEW(c->a, struct label);
	*v = (struct label){STR("detected_level"), level};
	if (c->nlevel_sets < sizeof c->level_sets / sizeof *c->level_sets) c->level_sets[c->nlevel_sets++] = v;
	*meta = (struct labels){v, 1};
}

/* ---- entries ---- */

static size_t meta_bytes(const struct labels *meta)
{
	size_t n = 0;
	for (size_t i = 0; i < meta->n; i++)
		if (!str_eq(meta->v[i].name, STR("detected_level"))) n += meta->v[i].name.n + meta->v[i].value.n;
	return n;
}

static struct str time_text(struct check *c, int64_t ns)
{
	struct buf b = {0};
	units_rfc3339_print(&b, ns);
	struct str t = arena_str(c->a, buf_view(&b));
	buf_free(&b);
	return t;
}

static const char *check_meta(struct check *c, const struct push_entry *en, struct str *text)
{
	const struct limits *l = c->l;
	const char *advice = "or contact your Loki administrator to increase it";
	if (en->meta.n == 0) return NULL;
	if (!l->allow_structured_metadata) {
		*text = arena_printf(
			c->a,
			"stream '%.*s' includes structured metadata, but this feature is disallowed. Please see "
			"`limits_config.allow_structured_metadata` or contact your Loki administrator to enable it",
			STR_ARG(stream_name(c)));
		return "disallowed_structured_metadata";
	}
	size_t bytes = meta_bytes(&en->meta);
	if (l->max_structured_metadata_size && bytes > l->max_structured_metadata_size) {
		*text = arena_printf(c->a,
				     "stream '%.*s' has structured metadata too large: '%zu' bytes, limit: '%" PRIu64
				     "' bytes. "
				     "Please see `limits_config.max_structured_metadata_size` %s",
				     STR_ARG(stream_name(c)), bytes, l->max_structured_metadata_size, advice);
		return "structured_metadata_too_large";
	}
	if (l->max_structured_metadata_entries_count &&
	    (int64_t)en->meta.n > l->max_structured_metadata_entries_count) {
		*text = arena_printf(
			c->a,
			"stream '%.*s' has too many structured metadata labels: '%zu', limit: '%" PRId64 "'. "
			"Please see `limits_config.max_structured_metadata_entries_count` %s",
			STR_ARG(stream_name(c)), en->meta.n, l->max_structured_metadata_entries_count, advice);
		return "structured_metadata_too_many";
	}
	return NULL;
}

static void truncate_line(struct check *c, struct push_entry *en)
{
	const struct limits *l = c->l;
	struct str id = l->max_line_size_truncate_identifier;
	size_t keep = l->max_line_size > id.n ? l->max_line_size - id.n : 0;
	count(c, METRIC_MUTATED_SAMPLES, "line_too_long", 1, en->line.n - l->max_line_size);
	if (id.n == 0) {
		en->line.n = keep;
		return;
	}
	char *p = arena_alloc(c->a, keep + id.n); /* lines may have NULs */
	memcpy(p, en->line.p, keep);
	memcpy(p + keep, id.p, id.n);
	en->line = str_of(p, keep + id.n);
}

/* NULL: the entry is fine. */
static const char *check_entry(struct check *c, struct push_entry *en, struct str *text)
{
	const struct limits *l = c->l;
	if (l->reject_old_samples && en->ts < c->now - l->reject_old_samples_max_age) {
		*text = arena_printf(
			c->a,
			"entry for stream '%.*s' has timestamp too old: %.*s, oldest acceptable timestamp is: %.*s",
			STR_ARG(stream_name(c)), STR_ARG(time_text(c, en->ts)),
			STR_ARG(time_text(c, c->now - l->reject_old_samples_max_age)));
		return "greater_than_max_sample_age";
	}
	if (en->ts > c->now + l->creation_grace_period) {
		*text = arena_printf(c->a, "entry for stream '%.*s' has timestamp too new: %.*s",
				     STR_ARG(stream_name(c)), STR_ARG(time_text(c, en->ts)));
		return "too_far_in_future";
	}
	if (l->max_line_size && en->line.n > l->max_line_size) {
		if (!l->max_line_size_truncate) {
			*text = arena_printf(c->a,
					     "max entry size '%" PRIu64
					     "' bytes exceeded for stream '%.*s' while adding an entry "
					     "with length '%zu' bytes",
					     l->max_line_size, STR_ARG(stream_name(c)), en->line.n);
			return "line_too_long";
		}
		truncate_line(c, en);
	}
	return check_meta(c, en, text);
}

/* Keeps the good entries of a stream, in place. False: the whole push must be refused (out->status is set). */
static bool check_entries(struct check *c, struct push_stream *st, struct sizes *size, struct distributor_result *out)
{
	struct str from_labels = level_of_labels(&c->level, c->labels), text;
	size_t k = 0;
	for (size_t i = 0; i < st->n; i++) {
		struct push_entry *en = &st->v[i];
		const char *reason = check_entry(c, en, &text);
		if (reason) {
			refuse(c, reason, 1, en->line.n, text);
			continue;
		}
		if (c->l->increment_duplicate_timestamp && k && en->ts == st->v[k - 1].ts &&
		    !str_eq(en->line, st->v[k - 1].line) && en->ts < INT64_MAX)
			en->ts++;
		size->lines += en->line.n;
		size->meta += meta_bytes(&en->meta);
		if (en->meta.n && !normalise_meta(c, &en->meta)) {
			out->status = 500;
			out->text = STR("structured metadata: a name consists of underscores only, or is empty; give "
					"it a name with "
					"a letter or digit");
			return false;
		}
		if (c->l->discover_log_levels && c->l->allow_structured_metadata)
			add_level(c, &en->meta, level_detect(&c->level, from_labels, &en->meta, en->line, c->a));
		st->v[k++] = *en;
	}
	st->n = k;
	return true;
}

/* ---- rates ---- */

/* "2024-01-02 03:04:05.678 +0000 UTC": Go's time.String. */
static void go_time(struct buf *b, int64_t ns)
{
	struct units_civil t;
	units_civil(ns, &t);
	buf_printf(b, "%04" PRId64 "-%02d-%02d %02d:%02d:%02d", t.year, t.mon, t.day, t.hour, t.min, t.sec);
	if (t.nsec) {
		char frac[16];
		int n = snprintf(frac, sizeof frac, ".%09d", t.nsec);
		while (frac[n - 1] == '0') n--;
		buf_add(b, frac, (size_t)n);
	}
	buf_c(b, " +0000 UTC");
}

static void over_stream_rate(struct check *c, const struct ingest_stream *st, size_t bytes,
			     struct distributor_result *out)
{
	struct buf b = {0}, limit = {0}, total = {0};
	units_bytes_1024_print(&limit, c->l->per_stream_rate_limit);
	units_bytes_1024_print(&total, bytes);
	for (size_t i = 0; i < st->n && i < STREAM_TEXTS_MAX; i++) {
		buf_c(&b, "entry with timestamp ");
		go_time(&b, st->v[i].ts);
		buf_printf(&b,
			   " ignored, reason: 'Per stream rate limit exceeded (limit: %s/sec) while attempting to "
			   "ingest for stream "
			   "'%.*s' totaling %s, consider splitting a stream via additional labels or contact your Loki "
			   "administrator "
			   "to see if the limit can be increased',\n",
			   buf_cstr(&limit), STR_ARG(stream_name(c)), buf_cstr(&total));
	}
	buf_printf(&b, "user '%.*s', total ignored: %zu out of %zu for stream: %.*s", STR_ARG(c->tenant), st->n, st->n,
		   STR_ARG(stream_name(c)));
	out->status = 429;
	out->text = arena_str(c->a, buf_view(&b));
	count(c, METRIC_DISCARDED_SAMPLES, "per_stream_rate_limit", st->n, bytes);
	buf_free(&b);
	buf_free(&limit);
	buf_free(&total);
}

static bool within_tenant_rate(struct check *c, size_t lines, size_t bytes, struct distributor_result *out)
{
	double mib = 1 << 20, rate = c->l->ingestion_rate_mb * mib;
	if (ratelimit_take(c->d->tenants, c->tenant, rate, c->l->ingestion_burst_size_mb * mib, (double)bytes))
		return true;
	count(c, METRIC_DISCARDED_SAMPLES, "rate_limited", lines, bytes);
	out->status = 429;
	out->text = arena_printf(
		c->a,
		"ingestion rate limit exceeded for user %.*s (limit: %.0f bytes/sec) while attempting to ingest "
		"'%zu' lines totaling '%zu' bytes, reduce log volume or contact your Loki administrator to see if the "
		"limit can be increased",
		STR_ARG(c->tenant), rate, lines, bytes);
	out->push.n = 0;
	return false;
}

/* Takes streams over their rate out of the push. */
static void check_stream_rates(struct check *c, struct distributor_result *out)
{
	size_t k = 0;
	for (size_t i = 0; i < out->push.n; i++) {
		struct ingest_stream *st = &out->push.v[i];
		size_t bytes = c->sizes[i].lines + c->sizes[i].meta;
		uint64_t key[2] = {str_hash(c->tenant), labels_hash(&st->labels)};
		c->labels = &st->labels;
		c->name = STR_NULL;
		if (ratelimit_take(c->d->streams, str_of((const char *)key, sizeof key),
				   (double)c->l->per_stream_rate_limit, (double)c->l->per_stream_rate_limit_burst,
				   (double)bytes))
			out->push.v[k++] = *st;
		else
			over_stream_rate(c, st, bytes, out);
	}
	out->push.n = k;
}

/* ---- the whole ---- */

/* All label texts, before anything else: one that does not parse refuses everything. */
static bool parse_labels(struct check *c, const struct push *in, struct labels *sets, size_t *given,
			 struct distributor_result *out)
{
	for (size_t i = 0; i < in->n; i++) {
		struct err e = ERR_INIT;
		struct str text = in->v[i].labels;
		if (text.n > LABELS_TEXT_MAX) {
			out->status = 413;
			out->text = arena_printf(c->a, "stream labels size too large: %zu bytes, limit: %u bytes",
						 text.n, LABELS_TEXT_MAX);
			return false;
		}
		if (!labels_parse(c->a, text, &sets[i], &e)) {
			count(c, METRIC_DISCARDED_SAMPLES, "invalid_labels", in->entries, in->bytes);
			out->status = 400;
			out->text = arena_printf(c->a, "couldn't parse labels: %s", e.msg);
			return false;
		}
		given[i] = sets[i].n;
		add_service_name(c, &sets[i]);
	}
	return true;
}

static bool blocked(struct check *c, const struct push *in, struct distributor_result *out)
{
	const struct limits *l = c->l;
	if (!l->block_ingestion_until_ns || c->now >= l->block_ingestion_until_ns) return false;
	count(c, METRIC_DISCARDED_SAMPLES, "blocked_ingestion", in->entries, in->bytes);
	out->status = (int)l->block_ingestion_status_code;
	out->text = arena_printf(c->a, "ingestion blocked for user '%.*s' until '%.*s' with status code '%d'",
				 STR_ARG(c->tenant), STR_ARG(time_text(c, l->block_ingestion_until_ns)), out->status);
	return true;
}

static bool check_streams(struct check *c, struct push *in, const struct labels *sets, const size_t *given,
			  struct distributor_result *out)
{
	for (size_t i = 0; i < in->n; i++) {
		struct push_stream *st = &in->v[i];
		struct str text;
		if (st->n == 0) continue;
		c->labels = &sets[i];
		c->name = STR_NULL;
		const char *reason = check_labels(c, given[i], &text);
		if (reason) {
			size_t bytes = 0;
			for (size_t k = 0; k < st->n; k++) bytes += st->v[k].line.n;
			refuse(c, reason, st->n, bytes, text);
			continue;
		}
		if (!check_entries(c, st, &c->sizes[out->push.n], out)) return false;
		if (st->n) out->push.v[out->push.n++] = (struct ingest_stream){sets[i], st->v, st->n};
	}
	return true;
}

static void count_received(struct check *c, const struct ingest_push *p, size_t *lines, size_t *bytes)
{
	size_t line_bytes = 0, meta = 0;
	*lines = 0;
	for (size_t i = 0; i < p->n; i++) {
		line_bytes += c->sizes[i].lines;
		meta += c->sizes[i].meta;
		*lines += p->v[i].n;
	}
	*bytes = line_bytes + meta;
	metrics_add(metrics_get(c->d->metrics, METRIC_LINES_RECEIVED, &c->tenant), (double)*lines);
	metrics_add(metrics_get(c->d->metrics, METRIC_BYTES_RECEIVED, &c->tenant), (double)line_bytes);
	metrics_add(metrics_get(c->d->metrics, METRIC_META_BYTES_RECEIVED, &c->tenant), (double)meta);
}

void distributor_check(struct distributor *d, const struct limits *l, struct arena *a, struct str tenant,
		       struct push *in, struct distributor_result *out)
{
	struct check c = {.d = d, .l = l, .a = a, .tenant = tenant, .now = clock_wall(d->clock)};
	*out = (struct distributor_result){.push.tenant = tenant};
	if (in->n == 0) {
		out->status = 422;
		out->text = STR("error at least one valid stream is required for ingestion");
		return;
	}
	struct labels *sets = arena_zalloc(a, in->n * sizeof *sets);
	size_t *given = arena_zalloc(a, in->n * sizeof *given);
	out->push.v = arena_zalloc(a, in->n * sizeof *out->push.v);
	c.sizes = arena_zalloc(a, in->n * sizeof *c.sizes);
	level_rules_init(&c.level, l);
	if (!parse_labels(&c, in, sets, given, out) || blocked(&c, in, out)) return;
	if (!check_streams(&c, in, sets, given, out)) {
		out->push.n = 0;
		return;
	}
	size_t lines, bytes;
	count_received(&c, &out->push, &lines, &bytes);
	if (lines && !within_tenant_rate(&c, lines, bytes, out)) return;
	check_stream_rates(&c, out);
	if (!out->status && c.nrefusals) {
		out->status = 400;
		out->text = refusals_text(&c);
	}
}
