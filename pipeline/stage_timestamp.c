/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timestamp: the entry's time is parsed from an extracted value. On failure `fudge` takes the last time of the same
 * label set plus 1 ns (none known: unchanged), `skip` leaves the time alone. In Alloy's dialect a time that is the same
 * as the one parsed before under this label set is made different: the last one given plus 1 ns. */
#include "common/gotime.h"
#include "common/tz.h"
#include "common/units.h"
#include "pipeline/stage.h"
#include "pipeline/streams.h"

#define STREAMS_MAX 10000 /* label sets whose last time is known */

enum on_failure { FUDGE, SKIP };
enum on_duplicate { DUPLICATE_KEEP, DUPLICATE_FUDGE };
static const char *const duplicate_names[] = {"keep", "fudge", NULL};

struct conf {
	struct str source, format, location, action;
	struct conf_strs fallback_formats;
	int on_duplicate; /* enum on_duplicate */
};
/* How a text becomes a time: a unit of Unix time, or a layout. */
struct form {
	int64_t unit; /* ns; 0: a layout */
	struct gotime_layout *layout;
	bool alias;   /* a named layout: the location does not apply */
	bool rfc3339; /* its strict form is tried first, which most times have */
};
struct last {
	struct stream stream;
	int64_t ts, parsed; /* as given, as it stood in the text */
};
struct state {
	enum on_failure on_failure;
	struct form *forms; /* format, then fallback_formats */
	size_t n;
	struct tz *zone;
	struct streams streams;
};

static struct form form_new(struct str format)
{
	static const struct {
		const char *name;
		int64_t unit;
	} unix_forms[] = {{"Unix", UNITS_SEC}, {"UnixMs", UNITS_MS}, {"UnixUs", UNITS_US}, {"UnixNs", 1}};
	for (size_t i = 0; i < sizeof unix_forms / sizeof *unix_forms; i++)
		if (str_eqc(format, unix_forms[i].name)) return (struct form){.unit = unix_forms[i].unit};
	struct str layout = gotime_alias(format);
	return (struct form){.layout = gotime_layout_new(layout),
			     .alias = !str_eq(layout, format),
			     .rfc3339 = str_starts(format, STR("RFC3339"))};
}

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->source.n)
		return stage_refuse(body, "source", e, "source must be set: name the extracted value with the time");
	if (!c->format.n)
		return stage_refuse(body, "format", e, "format must be set, for example RFC3339, Unix or a Go layout");
	if (c->action.p && !str_eqc(c->action, "fudge") && !str_eqc(c->action, "skip"))
		return stage_refuse(body, "action_on_failure", e,
				    "action_on_failure must be fudge or skip, not \"%.*s\"", STR_ARG(c->action));
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->on_failure = str_eqc(c->action, "skip") ? SKIP : FUDGE;
	streams_init(&st->streams, sizeof(struct last), STREAMS_MAX);
	st->n = 1 + c->fallback_formats.n;
	st->forms = arena_alloc(s->arena, st->n * sizeof *st->forms);
	st->forms[0] = form_new(c->format);
	for (size_t i = 1; i < st->n; i++) st->forms[i] = form_new(c->fallback_formats.v[i - 1]);
	if (!c->location.p) return true;
	struct err why = ERR_INIT;
	st->zone = tz_new(c->location, &why);
	return st->zone || stage_refuse(body, "location", e, "location: %s", why.msg);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (size_t i = 0; i < st->n; i++) gotime_layout_free(st->forms[i].layout);
	tz_free(st->zone);
	streams_fini(&st->streams);
}

static bool parse_int(struct str s, int64_t *v)
{
	if (s.n > 1 && s.p[0] == '+' && s.p[1] != '-') s = str_from(s, 1);
	return str_to_i64(s, v);
}

/* Digits behind the point of seconds; what is finer than 1 ns is cut. */
static bool parse_fraction(struct str s, int64_t *ns)
{
	int64_t v = 0, unit = UNITS_SEC;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9') return false;
		unit /= 10;
		v += unit * (s.p[i] - '0');
	}
	*ns = v;
	return s.n > 0;
}

static bool parse_unix(struct str s, int64_t unit, int64_t *ts)
{
	int64_t v, fraction = 0;
	ssize_t dot = unit == UNITS_SEC ? str_chr(s, '.') : -1;
	if (dot >= 0) {
		if (!parse_fraction(str_from(s, (size_t)dot + 1), &fraction)) return false;
		s.n = (size_t)dot;
	}
	return parse_int(s, &v) && !__builtin_mul_overflow(v, unit, &v) && !__builtin_add_overflow(v, fraction, ts);
}

static bool parse(const struct state *st, struct str text, int64_t now, int64_t *ts, struct err *e)
{
	for (size_t i = 0; i < st->n; i++) {
		const struct form *f = &st->forms[i];
		const struct tz *zone = f->alias ? NULL : st->zone;
		if (f->unit) {
			if (parse_unix(text, f->unit, ts)) return true;
		} else if (f->alias && f->rfc3339 && units_rfc3339(text, ts, e)) {
			return true;
		} else if (gotime_layout_has_year(f->layout)) {
			if (gotime_parse(f->layout, zone, text, ts, e)) return true;
		} else if (gotime_parse_near(f->layout, zone, text, now, ts, e)) {
			return true;
		}
	}
	return false;
}

/* Notes the time that was parsed, and makes it another one if it is to be. */
static void remember(struct state *st, int on_duplicate, struct entry *e)
{
	struct last *l = streams_find(&st->streams, &e->labels);
	int64_t parsed = e->ts;
	if (!l) {
		if (streams_full(&st->streams)) streams_remove(&st->streams, streams_oldest(&st->streams));
		l = streams_add(&st->streams, &e->labels);
	} else if (on_duplicate == DUPLICATE_FUDGE && parsed == l->parsed && l->ts < INT64_MAX) {
		e->ts = l->ts + 1;
	}
	l->ts = e->ts;
	l->parsed = parsed;
}

static void plan(struct stage *s, struct reads *r) { reads_add(r, ((const struct conf *)s->conf)->source); }

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct err why = ERR_INIT;
	int64_t now = clock_wall(s->env->clock);
	streams_begin(&st->streams);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str text;
		if (stage_text(b, e, c->source, &text) && parse(st, text, now, &e->ts, &why)) {
			if (st->on_failure == FUDGE || c->on_duplicate == DUPLICATE_FUDGE)
				remember(st, c->on_duplicate, e);
			continue;
		}
		if (st->on_failure == SKIP) continue;
		struct last *l = streams_find(&st->streams, &e->labels);
		if (l && l->ts < INT64_MAX) e->ts = ++l->ts;
	}
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value with the time."},
	{.key = "format",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, format),
	 .doc = "Unix, UnixMs, UnixUs, UnixNs, a named layout such as RFC3339Nano, or a layout in Go's form."},
	{.key = "fallback_formats",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, fallback_formats),
	 .doc = "Formats tried when the first does not fit."},
	{.key = "location",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, location),
	 .doc = "IANA time zone of layouts of your own whose text has no offset; UTC if not set."},
	{.key = "action_on_failure",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, action),
	 .doc = "fudge (default): the last time of the same labels plus 1 ns; skip: the time stays."},
	{0},
};
static const struct conf_table table = {"timestamp stage", sizeof(struct conf), fields,
					.lenient = true,   .any_case = true,    .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "action_on_duplicate_timestamp",
	 .kind = CONF_ENUM,
	 .names = duplicate_names,
	 .off = offsetof(struct conf, on_duplicate),
	 .def = "fudge",
	 .doc = "Of a time that equals the one before under the same labels. fudge: the last time given plus 1 ns; "
		"keep: it "
		"stays."},
	{0},
};
static const struct conf_table alloy = {"timestamp stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_timestamp = {
	.name = "timestamp",
	.doc = "Takes the entry's time from an extracted value.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
