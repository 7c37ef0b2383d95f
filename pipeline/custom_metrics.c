/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/custom_metrics.h"

#include "pipeline/streams.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

struct series {
	struct stream stream;
	char *labels;      /* a="x",b="y": escaped as the exposition wants it */
	int64_t updated;   /* mono ns */
	double value;      /* HISTOGRAM: the sum */
	uint64_t counts[]; /* HISTOGRAM: one per bucket, not cumulative, and one for +Inf */
};
struct custom_family {
	struct custom_metrics *m;
	struct custom_family *next;
	char *name, *help;
	enum custom_kind kind;
	double *buckets;
	size_t n_buckets, refs;
	int64_t idle;
	struct streams series;
	uint64_t refused;
};
struct custom_metrics {
	struct clock *clock;
	pthread_mutex_t lock;
	struct custom_family *families;
};

struct custom_metrics *custom_metrics_new(struct clock *clock)
{
	struct custom_metrics *m = mem_zalloc(sizeof *m);
	m->clock = clock;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void custom_metrics_free(struct custom_metrics *m)
{
	if (!m) return;
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- families ---- */

static char *metric_name(struct str s)
{
	char *name = mem_strndup(s.p, s.n);
	for (size_t i = 0; i < s.n; i++) {
		char c = name[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
			  (c >= '0' && c <= '9' && i > 0);
		if (!ok) name[i] = '_';
	}
	return name;
}

static bool same_shape(const struct custom_family *f, const struct custom_spec *spec)
{
	size_t size = spec->n_buckets * sizeof *spec->buckets;
	return f->kind == spec->kind && f->n_buckets == spec->n_buckets &&
	       (!size || memcmp(f->buckets, spec->buckets, size) == 0);
}

static struct custom_family *family_new(struct custom_metrics *m, const struct custom_spec *spec, char *name)
{
	struct custom_family *f = mem_zalloc(sizeof *f);
	f->m = m;
	f->name = name;
	f->help = mem_strndup(spec->help.p ? spec->help.p : "", spec->help.n);
	f->kind = spec->kind;
	f->n_buckets = spec->n_buckets;
	f->buckets = mem_alloc((spec->n_buckets + 1) * sizeof *f->buckets);
	if (spec->n_buckets) memcpy(f->buckets, spec->buckets, spec->n_buckets * sizeof *f->buckets);
	f->idle = spec->idle;
	streams_init(&f->series, sizeof(struct series) + (spec->n_buckets + 1) * sizeof(uint64_t), CUSTOM_SERIES_MAX);
	f->next = m->families;
	m->families = f;
	return f;
}

struct custom_family *custom_family_open(struct custom_metrics *m, const struct custom_spec *spec, struct err *e)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	char *name = metric_name(spec->name);
	pthread_mutex_lock(&m->lock);
	struct custom_family *f = m->families;
	while (f && strcmp(f->name, name)) f = f->next;
	if (f && !same_shape(f, spec)) {
		err_set(e, ERR_INVALID,
			"metric %s is a %s with other buckets or of another type elsewhere; give it another name", name,
			kinds[f->kind]);
		f = NULL;
		free(name);
	} else if (f) {
		f->refs++;
		free(name);
	} else {
		f = family_new(m, spec, name);
		f->refs = 1;
	}
	pthread_mutex_unlock(&m->lock);
	return f;
}

static void series_free(struct custom_family *f, struct series *s)
{
	free(s->labels);
	streams_remove(&f->series, s);
}

void custom_family_close(struct custom_family *f)
{
	if (!f) return;
	struct custom_metrics *m = f->m;
	pthread_mutex_lock(&m->lock);
	bool last = --f->refs == 0;
	for (struct custom_family **at = &m->families; last && *at; at = &(*at)->next) {
		if (*at != f) continue;
		*at = f->next;
		break;
	}
	pthread_mutex_unlock(&m->lock);
	if (!last) return;
	for (struct series *s; (s = streams_oldest(&f->series));) series_free(f, s);
	streams_fini(&f->series);
	free(f->name);
	free(f->help);
	free(f->buckets);
	free(f);
}

void custom_family_begin(struct custom_family *f)
{
	pthread_mutex_lock(&f->m->lock);
	streams_begin(&f->series);
	pthread_mutex_unlock(&f->m->lock);
}

/* ---- updates ---- */

static bool hidden(struct str name) { return str_starts(name, STR("__")); }

static void print_labels(struct buf *b, const struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (hidden(l->v[i].name)) continue;
		if (b->n) buf_ch(b, ',');
		buf_str(b, l->v[i].name);
		buf_c(b, "=\"");
		for (size_t k = 0; k < l->v[i].value.n; k++) {
			char c = l->v[i].value.p[k];
			if (c == '\n')
				buf_c(b, "\\n");
			else if (c == '\\' || c == '"')
				buf_printf(b, "\\%c", c);
			else
				buf_ch(b, c);
		}
		buf_ch(b, '"');
	}
}

/* NULL: there are too many. The lock is held. */
static struct series *series_of(struct custom_family *f, const struct labels *l)
{
	struct label shown[64];
	struct labels visible = *l;
	size_t n = 0;
	for (size_t i = 0; i < l->n && n < sizeof shown / sizeof *shown; i++)
		if (!hidden(l->v[i].name)) shown[n++] = l->v[i];
	if (n < l->n) {
		visible = (struct labels){shown, n};
		streams_begin(&f->series); /* one array for whatever comes */
	}
	struct series *s = streams_find(&f->series, &visible);
	if (!s && streams_full(&f->series)) {
		f->refused++;
		return NULL;
	}
	if (!s) {
		struct buf text = {0};
		s = streams_add(&f->series, &visible);
		print_labels(&text, &visible);
		s->labels = mem_strndup(buf_view(&text).p, text.n);
		buf_free(&text);
	}
	s->updated = clock_mono(f->m->clock);
	return s;
}

void custom_add(struct custom_family *f, const struct labels *l, double v)
{
	pthread_mutex_lock(&f->m->lock);
	struct series *s = series_of(f, l);
	if (s) s->value += v;
	pthread_mutex_unlock(&f->m->lock);
}

void custom_set(struct custom_family *f, const struct labels *l, double v)
{
	pthread_mutex_lock(&f->m->lock);
	struct series *s = series_of(f, l);
	if (s) s->value = v;
	pthread_mutex_unlock(&f->m->lock);
}

void custom_observe(struct custom_family *f, const struct labels *l, double v)
{
	size_t i = 0;
	while (i < f->n_buckets && !(v <= f->buckets[i])) i++;
	pthread_mutex_lock(&f->m->lock);
	struct series *s = series_of(f, l);
	if (s) {
		s->value += v;
		s->counts[i]++;
	}
	pthread_mutex_unlock(&f->m->lock);
}

/* ---- exposure ---- */

static void print_value(struct buf *out, double v)
{
	buf_ch(out, ' ');
	buf_f64_g(out, v);
	buf_ch(out, '\n');
}

static void print_scalar(struct buf *out, const struct custom_family *f, const char *suffix, const struct series *s,
			 double v)
{
	buf_printf(out, *s->labels ? "%s%s{%s}" : "%s%s", f->name, suffix, s->labels);
	print_value(out, v);
}

static void print_histogram(struct buf *out, const struct custom_family *f, const struct series *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i <= f->n_buckets; i++) {
		buf_printf(out, "%s_bucket{%s%sle=\"", f->name, s->labels, *s->labels ? "," : "");
		buf_f64_g(out, i < f->n_buckets ? f->buckets[i] : INFINITY);
		buf_c(out, "\"}");
		print_value(out, (double)(n += s->counts[i]));
	}
	print_scalar(out, f, "_sum", s, s->value);
	print_scalar(out, f, "_count", s, (double)n);
}

static void print_family(struct buf *out, struct custom_family *f, int64_t now)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	buf_printf(out, "# HELP %s ", f->name);
	for (const char *p = f->help; *p; p++) {
		if (*p == '\n')
			buf_c(out, "\\n");
		else if (*p == '\\')
			buf_c(out, "\\\\");
		else
			buf_ch(out, *p);
	}
	buf_printf(out, "\n# TYPE %s %s\n", f->name, kinds[f->kind]);
	for (struct series *s = streams_oldest(&f->series), *next; s; s = next) {
		next = streams_newer(&f->series, s);
		if (f->kind == CUSTOM_HISTOGRAM)
			print_histogram(out, f, s);
		else
			print_scalar(out, f, "", s, s->value);
		if (f->idle && now - s->updated >= f->idle) series_free(f, s);
	}
}

void custom_metrics_expose(struct custom_metrics *m, struct buf *out)
{
	int64_t now = clock_mono(m->clock);
	bool refused = false;
	pthread_mutex_lock(&m->lock);
	for (struct custom_family *f = m->families; f; f = f->next) {
		if (f->series.map.n) print_family(out, f, now);
		refused |= f->refused > 0;
	}
	if (refused)
		buf_c(out, "# HELP larch_agent_custom_updates_refused_total Updates that would have made one series "
			   "too many.\n"
			   "# TYPE larch_agent_custom_updates_refused_total counter\n");
	for (struct custom_family *f = m->families; f; f = f->next)
		if (f->refused)
			buf_printf(out, "larch_agent_custom_updates_refused_total{metric=\"%s\"} %llu\n", f->name,
				   (unsigned long long)f->refused);
	pthread_mutex_unlock(&m->lock);
}
