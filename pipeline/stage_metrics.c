/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: counters, gauges and histograms of extracted values; the entry's labels are the series' labels. In Alloy's
 * dialect the body is a list of {counter: …}, {gauge: …} and {histogram: …}, each with all its options in one mapping.
 */
#include "pipeline/stage.h"

#include "common/metrics.h"
#include "common/units.h"
#include "pipeline/custom_metrics.h"

#include <math.h>

enum action { INC, DEC, ADD, SUB, SET, OBSERVE };

struct config { /* of all three types */
	struct str action, value;
	bool match_all, count_entry_bytes;
	const struct yaml *buckets;
};
struct metric_conf {
	struct str name, type, description, source, prefix, idle;
	const struct yaml *config_node; /* Promtail: config is below a key of its own */
	struct config config;
};
struct metric {
	struct str source, value; /* value.p NULL: any */
	enum action action;
	bool match_all, bytes, counter;
	struct custom_family *family; /* NULL: nothing is counted */
};
struct state {
	struct metric *v;
	size_t n;
};

/* ---- configuration ---- */

static const struct conf_field metric_fields[] = {
	{.key = "type",
	 .kind = CONF_STR,
	 .off = offsetof(struct metric_conf, type),
	 .doc = "counter, gauge or histogram."},
	{.key = "description", .kind = CONF_STR, .off = offsetof(struct metric_conf, description), .doc = "Help text."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct metric_conf, source),
	 .doc = "Extracted value; the metric's name if not set."},
	{.key = "prefix",
	 .kind = CONF_STR,
	 .off = offsetof(struct metric_conf, prefix),
	 .doc = "Put before the name instead of promtail_custom_."},
	{.key = "max_idle_duration",
	 .kind = CONF_STR,
	 .off = offsetof(struct metric_conf, idle),
	 .doc = "Series without an update for this long are removed; 5m if not set."},
	{.key = "config",
	 .kind = CONF_NODE,
	 .off = offsetof(struct metric_conf, config_node),
	 .doc = "action, value, match_all, count_entry_bytes, buckets."},
	{0},
};
static const struct conf_table metric_table = {"metric",        sizeof(struct metric_conf), metric_fields,
					       .lenient = true, .any_case = true,           .typing = CONF_EXACT};

static const struct conf_field config_fields[] = {
	{.key = "action", .kind = CONF_STR, .off = offsetof(struct config, action), .doc = "What is done."},
	{.key = "value", .kind = CONF_STR, .off = offsetof(struct config, value), .doc = "What the source must be."},
	{.key = "match_all",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct config, match_all),
	 .doc = "counter: every line counts, whatever was extracted."},
	{.key = "count_entry_bytes",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct config, count_entry_bytes),
	 .doc = "counter with match_all and add: the line's bytes are added."},
	{.key = "buckets",
	 .kind = CONF_NODE,
	 .off = offsetof(struct config, buckets),
	 .doc = "histogram: upper bounds, ascending."},
	{0},
};
static const struct conf_table config_table = {"metric's config", sizeof(struct config), config_fields,
					       .lenient = true,   .any_case = true,      .typing = CONF_EXACT};

#define STR_ROW(name, member, text)                                                                                    \
	{                                                                                                              \
		.key = name, .kind = CONF_STR, .off = offsetof(struct metric_conf, member), .doc = text                \
	}
#define SHARED_ROWS                                                                                                    \
	STR_ROW("name", name, "Its name."), STR_ROW("description", description, "Help text."),                         \
		STR_ROW("source", source, "Extracted value; the metric's name if not set."),                           \
		STR_ROW("prefix", prefix, "Put before the name instead of loki_process_custom_."),                     \
		STR_ROW("max_idle_duration", idle, "Series without an update for this long are removed."),             \
		STR_ROW("value", config.value, "What the source must be.")
#define ACTION_ROW STR_ROW("action", config.action, "What is done.")

static const struct conf_field alloy_counter[] = {
	SHARED_ROWS,
	ACTION_ROW,
	{.key = "match_all",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct metric_conf, config.match_all),
	 .doc = "Every line counts."},
	{.key = "count_entry_bytes",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct metric_conf, config.count_entry_bytes),
	 .doc = "With match_all and add: the line's bytes are added."},
	{0},
};
static const struct conf_field alloy_gauge[] = {SHARED_ROWS, ACTION_ROW, {0}};
static const struct conf_field alloy_histogram[] = {
	SHARED_ROWS,
	{.key = "buckets",
	 .kind = CONF_NODE,
	 .off = offsetof(struct metric_conf, config.buckets),
	 .doc = "Upper bounds, ascending."},
	{0},
};
static const struct conf_table alloy_tables[] = {
	[CUSTOM_COUNTER] = {"counter", sizeof(struct metric_conf), alloy_counter, .typing = CONF_CONVERTIBLE},
	[CUSTOM_GAUGE] = {"gauge", sizeof(struct metric_conf), alloy_gauge, .typing = CONF_CONVERTIBLE},
	[CUSTOM_HISTOGRAM] = {"histogram", sizeof(struct metric_conf), alloy_histogram, .typing = CONF_CONVERTIBLE},
};

static const struct {
	const char *name;
	const char *actions; /* accepted, for messages */
	unsigned allowed;    /* a bit for each action */
} kinds[] = {
	[CUSTOM_COUNTER] = {"counter", "inc or add", 1 << INC | 1 << ADD},
	[CUSTOM_GAUGE] = {"gauge", "inc, dec, add, sub or set", 1 << INC | 1 << DEC | 1 << ADD | 1 << SUB | 1 << SET},
	[CUSTOM_HISTOGRAM] = {"histogram", "", 0},
};
static const char *const actions[] = {[INC] = "inc", [DEC] = "dec", [ADD] = "add", [SUB] = "sub", [SET] = "set"};

static bool read_buckets(struct stage *s, const struct yaml *n, const struct yaml *at, struct custom_spec *spec,
			 struct err *e)
{
	bool none = !n || yaml_is_null(n);
	if (none && stage_is_alloy(s))
		return stage_refuse(at, "buckets", e, "buckets must be set: upper bounds, ascending");
	if (none) {
		spec->buckets = metrics_seconds_buckets;
		while (!isinf(spec->buckets[spec->n_buckets])) spec->n_buckets++;
		return true;
	}
	double *v = arena_alloc(s->arena, (n->n + 1) * sizeof *v);
	if (n->kind != YAML_LIST) return stage_refuse(n, NULL, e, "buckets must be a list of numbers");
	for (size_t i = 0; i < n->n; i++) {
		const struct yaml *item = n->items[i];
		if (item->kind != YAML_SCALAR || !item->plain || !str_to_f64(item->text, &v[i]))
			return stage_refuse(item, NULL, e, "buckets must be a list of numbers");
		if (i && !(v[i] > v[i - 1])) return stage_refuse(item, NULL, e, "buckets must ascend");
	}
	spec->buckets = v;
	spec->n_buckets = n->n - (n->n && isinf(v[n->n - 1]));
	return true;
}

static bool read_action(enum custom_kind kind, const struct config *c, const struct yaml *at, struct metric *m,
			struct err *e)
{
	m->action = OBSERVE;
	if (kind == CUSTOM_HISTOGRAM) return true;
	for (m->action = INC; m->action < OBSERVE; m->action++)
		if (kinds[kind].allowed & 1 << m->action && str_ieq(c->action, str_c(actions[m->action]))) return true;
	return stage_refuse(at, "action", e, "action of a %s must be %s, not \"%.*s\"", kinds[kind].name,
			    kinds[kind].actions, STR_ARG(c->action));
}

/* at: for places in errors. */
static bool read_config(struct stage *s, enum custom_kind kind, const struct config *c, const struct yaml *at,
			struct metric *m, struct custom_spec *spec, struct err *e)
{
	if (!read_action(kind, c, at, m, e)) return false;
	m->value = stage_is_alloy(s) && !c->value.n ? STR_NULL : c->value;
	if (kind == CUSTOM_HISTOGRAM) return read_buckets(s, c->buckets, at, spec, e);
	if (kind != CUSTOM_COUNTER) return true;
	if (c->match_all && m->value.p) return stage_refuse(at, "value", e, "value and match_all cannot both be set");
	if (c->count_entry_bytes && (!c->match_all || m->action != ADD))
		return stage_refuse(at, "count_entry_bytes", e,
				    "count_entry_bytes needs match_all: true and action: add");
	m->counter = true;
	m->match_all = c->match_all;
	m->bytes = c->count_entry_bytes;
	return true;
}

static bool read_kind(struct str type, const struct yaml *at, enum custom_kind *kind, struct err *e)
{
	for (*kind = CUSTOM_COUNTER; *kind <= CUSTOM_HISTOGRAM; ++*kind)
		if (str_ieq(type, str_c(kinds[*kind].name))) return true;
	return stage_refuse(at, "type", e, "type must be counter, gauge or histogram, not \"%.*s\"", STR_ARG(type));
}

static bool read_idle(const struct metric_conf *c, const struct yaml *body, int64_t *idle, struct err *e)
{
	struct err why = ERR_INIT;
	*idle = 5 * UNITS_MIN;
	if (!c->idle.p) return true;
	if (!units_dur_go(c->idle, idle, &why))
		return stage_refuse(body, "max_idle_duration", e, "max_idle_duration: %s", why.msg);
	return *idle >= UNITS_SEC ||
	       stage_refuse(body, "max_idle_duration", e, "max_idle_duration must be at least 1s");
}

/* Everything but the options has been read. place: of errors about the name. */
static bool add_metric(struct stage *s, const struct metric_conf *c, const struct yaml *at, const struct yaml *place,
		       struct custom_spec *spec, struct err *e)
{
	struct state *st = s->state;
	struct metric *m = &st->v[st->n++];
	if (!read_config(s, spec->kind, &c->config, at, m, spec, e)) return false;
	m->source = c->source.p && (c->source.n || !stage_is_alloy(s)) ? c->source : c->name;
	if (!s->env->metrics) return true;
	struct str prefix = stage_is_alloy(s) ? STR("loki_process_custom_") : STR("promtail_custom_");
	if (c->prefix.n) prefix = c->prefix;
	spec->name = arena_printf(s->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(c->name));
	spec->help = c->description;
	m->family = custom_family_open(s->env->metrics, spec, e);
	if (m->family) return true;
	e->line = place->line;
	e->col = place->col;
	return false;
}

/* name: {type: counter, …, config: {…}} */
static bool read_metric(struct stage *s, const struct yaml_pair *pair, struct err *e)
{
	struct metric_conf c = {.name = arena_str(s->arena, pair->key->text)};
	struct custom_spec spec = {0};
	struct conf_ctx ctx = stage_conf_ctx(s);
	const struct yaml *body = pair->val;
	conf_defaults(&metric_table, &c, s->arena);
	if (!conf_decode(&metric_table, body, &c, &ctx, e) || !read_kind(c.type, body, &spec.kind, e) ||
	    !read_idle(&c, body, &spec.idle, e))
		return false;
	conf_defaults(&config_table, &c.config, s->arena);
	if (c.config_node && !conf_decode(&config_table, c.config_node, &c.config, &ctx, e)) return false;
	return add_metric(s, &c, c.config_node ? c.config_node : body, pair->key, &spec, e);
}

/* {counter: {name: …, …}} */
static bool read_alloy_metric(struct stage *s, const struct yaml *item, struct err *e)
{
	struct metric_conf c = {0};
	struct custom_spec spec = {0};
	struct conf_ctx ctx = stage_conf_ctx(s);
	if (item->kind != YAML_MAP || item->n != 1)
		return stage_refuse(item, NULL, e, "a metric must be a mapping such as `counter: {…}`");
	const struct yaml *body = item->pairs[0].val;
	if (!read_kind(item->pairs[0].key->text, item, &spec.kind, e)) return false;
	const struct conf_table *t = &alloy_tables[spec.kind];
	conf_defaults(t, &c, s->arena);
	if (!conf_decode(t, body, &c, &ctx, e)) return false;
	if (!c.name.n) return stage_refuse(body, "name", e, "name must be set");
	if (!read_idle(&c, body, &spec.idle, e)) return false;
	return add_metric(s, &c, body, body, &spec, e);
}

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	bool alloy = stage_is_alloy(s);
	if (yaml_is_null(body) || body->kind != (alloy ? YAML_LIST : YAML_MAP))
		return stage_refuse(body, NULL, e, "the body must be a %s, not %s",
				    alloy ? "list of metrics" : "mapping of metric names to metrics",
				    yaml_kind_name(body));
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->v = arena_zalloc(s->arena, body->n * sizeof *st->v);
	for (size_t i = 0; i < body->n; i++) {
		if (alloy && !read_alloy_metric(s, body->items[i], e)) return err_wrap(e, "metric %zu", i + 1);
		if (!alloy && !read_metric(s, &body->pairs[i], e))
			return err_wrap(e, "metric %.*s", STR_ARG(body->pairs[i].key->text));
	}
	return true;
}

static void plan(struct stage *s, struct reads *r)
{
	const struct state *st = s->state;
	for (size_t i = 0; i < st->n; i++)
		if (st->v[i].family && !st->v[i].match_all) reads_add(r, st->v[i].source);
}

static void fini(struct stage *s)
{
	const struct state *st = s->state;
	for (size_t i = 0; i < st->n; i++) custom_family_close(st->v[i].family);
}

/* ---- counting ---- */

static void update(const struct metric *m, const struct labels *l, double v)
{
	switch (m->action) {
	case INC: custom_add(m->family, l, 1); break;
	case DEC: custom_add(m->family, l, -1); break;
	case ADD: custom_add(m->family, l, v); break;
	case SUB: custom_add(m->family, l, -v); break;
	case SET: custom_set(m->family, l, v); break;
	case OBSERVE: custom_observe(m->family, l, v); break;
	}
}

static void count(const struct metric *m, struct batch *b, const struct entry *e)
{
	struct value scratch;
	double number = 0;
	if (m->match_all) {
		if (m->action == INC || m->bytes) update(m, &e->labels, (double)e->line.n);
		return;
	}
	const struct value *v = entry_get(e, m->source, &scratch);
	if (!v) return;
	struct str text;
	if (m->value.p && (!value_text(b->arena, v, &text) || !str_eq(text, m->value))) return;
	if (m->action != INC && m->action != DEC) {
		if (!value_number(v, &number)) return;
		if (m->counter && !(number >= 0)) return; /* counters only grow */
	}
	update(m, &e->labels, number);
}

static void run(struct stage *s, struct batch *b)
{
	const struct state *st = s->state;
	for (size_t k = 0; k < st->n; k++) {
		const struct metric *m = &st->v[k];
		if (!m->family) continue;
		custom_family_begin(m->family);
		for (size_t i = 0; i < b->n; i++) count(m, b, &b->v[i]);
	}
}

const struct stage_type stage_metrics = {
	.name = "metrics",
	.doc = "Counts and measures extracted values for /metrics.",
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
