/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drop: drops entries for which all given conditions hold. */
#include "common/units.h"
#include "pipeline/stage.h"

struct conf {
	const struct yaml *source;
	struct str value, expression, separator, older_than, longer_than, reason;
};
struct state {
	struct conf_strs source;
	struct regex *re;
	int64_t older_than;
	uint64_t longer_than;
	struct buf joined; /* scratch */
};

static bool read_source(struct stage *s, struct state *st, const struct yaml *n, struct err *e)
{
	if (!n || yaml_is_null(n)) return true;
	const struct conf_field rows[] = {{.key = "source", .kind = CONF_STR_LIST, .csv = stage_is_alloy(s)}, {0}};
	const struct conf_table t = {"drop stage", sizeof(struct conf_strs), rows};
	struct conf_ctx ctx = stage_conf_ctx(s);
	return conf_decode_bare(&t, n, &st->source, &ctx, e);
}

/* In Alloy an empty option is one that is not there. */
static void forget_empty(struct conf *c)
{
	struct str *const options[] = {&c->value, &c->expression, &c->older_than, &c->longer_than};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (!options[i]->n) *options[i] = STR_NULL;
	if (!c->separator.n) c->separator = STR(";");
	if (!c->reason.n) c->reason = STR("drop_stage");
}

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (stage_is_alloy(s)) forget_empty(c);
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	if (!read_source(s, st, c->source, e)) return false;
	if (!st->source.v && !c->expression.p && !c->older_than.p && !c->longer_than.p)
		return stage_refuse(body, NULL, e,
				    "at least one of source, expression, older_than or longer_than must be set");
	if (c->value.p && c->expression.p)
		return stage_refuse(body, "value", e, "value and expression cannot both be set");
	if (c->value.p && !st->source.v)
		return stage_refuse(body, "value", e, "value needs a source: which extracted value to compare");
	struct err why = ERR_INIT;
	if (c->older_than.p && !units_dur_go(c->older_than, &st->older_than, &why))
		return stage_refuse(body, "older_than", e, "older_than: %s", why.msg);
	if (c->longer_than.p && !units_bytes_1024(c->longer_than, &st->longer_than, &why))
		return stage_refuse(body, "longer_than", e, "longer_than: %s", why.msg);
	if (c->expression.p) st->re = stage_compile(body, "expression", c->expression, e);
	return !c->expression.p || st->re;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	regex_free(st->re);
	buf_free(&st->joined);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct state *st = s->state;
	for (size_t i = 0; i < st->source.n; i++) reads_add(r, st->source.v[i]);
}

static bool all_present(const struct state *st, const struct entry *e)
{
	struct value scratch;
	for (size_t i = 0; i < st->source.n; i++)
		if (!entry_get(e, st->source.v[i], &scratch)) return false;
	return true;
}

/* The values that are there, joined. False: one of them has no text. */
static bool joined(struct stage *s, struct batch *b, const struct entry *e, struct str *out)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct value scratch;
	bool any = false;
	buf_clear(&st->joined);
	for (size_t i = 0; i < st->source.n; i++) {
		struct str text;
		const struct value *v = entry_get(e, st->source.v[i], &scratch);
		if (!v) continue;
		if (!value_text(b->arena, v, &text)) return false;
		if (any) buf_str(&st->joined, c->separator);
		buf_str(&st->joined, text);
		any = true;
	}
	*out = buf_view(&st->joined);
	return true;
}

static bool matches(struct stage *s, struct batch *b, const struct entry *e)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	struct str text = e->line;
	if (!c->value.p && !st->re) return all_present(st, e);
	if (st->source.v && !joined(s, b, e, &text)) return false;
	return c->value.p ? str_eq(text, c->value) : regex_match(st->re, text);
}

static bool applies(struct stage *s, struct batch *b, const struct entry *e, int64_t now)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	if (c->longer_than.p && e->line.n <= st->longer_than) return false;
	if (c->older_than.p && e->ts >= now - st->older_than) return false;
	return matches(s, b, e);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	int64_t now = clock_wall(s->env->clock);
	for (size_t i = 0; i < b->n; i++)
		if (applies(s, b, &b->v[i], now)) stage_drop_entry(s, &b->v[i], c->reason);
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_NODE,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value, or a list of them (Alloy: with commas); without value and expression all must be "
		"there."},
	{.key = "value", .kind = CONF_STR, .off = offsetof(struct conf, value), .doc = "What the source must be."},
	{.key = "expression",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, expression),
	 .doc = "RE2 expression that the source, or else the line, must match."},
	{.key = "separator",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, separator),
	 .def = ";",
	 .doc = "Put between the values of several sources."},
	{.key = "older_than",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, older_than),
	 .doc = "Age that the entry must exceed, as 24h."},
	{.key = "longer_than",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, longer_than),
	 .doc = "Size that the line must exceed, as 8kb."},
	{.key = "drop_counter_reason",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, reason),
	 .def = "drop_stage",
	 .doc = "Reason that dropped entries are counted under."},
	{0},
};
static const struct conf_table table = {"drop stage",    sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_drop = {
	.name = "drop",
	.doc = "Drops entries for which all conditions hold.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
};
