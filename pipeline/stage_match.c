/* SPDX-License-Identifier: GPL-2.0-or-later */
/* match: entries whose labels and line match a selector run through stages of their own, or are dropped; the others
 * pass. Entries keep their order: each run of neighbours that match goes through the nested stages together. */
#include "pipeline/linefilter.h"
#include "pipeline/selector.h"
#include "pipeline/stage.h"

struct conf {
	struct str selector, action, pipeline_name, reason;
	const struct yaml *stages;
};
struct state {
	struct selector selector;
	struct linefilters *filters;
	struct pipeline *nested; /* NULL: drop */
};

/* The selector language is smaller than LogQL's: one operand a filter, no patterns, no addresses. */
static bool parse_filters(struct lex *lx, struct linefilter **v, size_t *n)
{
	size_t cap = 0;
	while (linefilter_starts(lx->tok.kind)) {
		struct linefilter f;
		if (!linefilter_parse(lx, &f)) return false;
		if (f.op > LINEFILTER_NRE || f.n > 1 || f.v[0].ip)
			return lex_fail(
				lx,
				"a selector of this stage may only have the filters |= != |~ !~ with one string each");
		*ARENA_PUSH(lx->a, *v, *n, cap) = f;
	}
	return lx->tok.kind == TOK_EOF || lex_unexpected(lx);
}

static bool parse_selector(struct stage *s, struct state *st, struct err *e)
{
	const struct conf *c = s->conf;
	struct lex lx;
	struct linefilter *v = NULL;
	size_t n = 0;
	lex_init(&lx, c->selector, s->arena, LEX_NO_RAW, e);
	if (!selector_parse(&lx, &st->selector)) {
		st->selector = (struct selector){0};
		return lex_wrap(e);
	}
	if (!st->selector.n) return err_set(e, ERR_INVALID, "{} selects nothing; name at least one label");
	if (!parse_filters(&lx, &v, &n)) return lex_wrap(e);
	st->filters = linefilters_new(v, n, NULL, e);
	return st->filters;
}

static bool check(const struct conf *c, const struct yaml *body, bool drop, struct err *e)
{
	size_t stages = c->stages && c->stages->kind == YAML_LIST ? c->stages->n : 0;
	if (!c->selector.n) return stage_refuse(body, "selector", e, "selector must be set, for example '{app=\"x\"}'");
	if (c->pipeline_name.p && !c->pipeline_name.n)
		return stage_refuse(body, "pipeline_name", e, "pipeline_name must not be empty; leave it out");
	if (c->action.n && !drop && !str_eqc(c->action, "keep"))
		return stage_refuse(body, "action", e, "action must be keep or drop, not \"%.*s\"", STR_ARG(c->action));
	if (drop && stages) return stage_refuse(body, "stages", e, "with action: drop there must be no stages");
	if (!drop && !stages) return stage_refuse(body, "stages", e, "stages must have at least one stage");
	return true;
}

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	bool drop = str_eqc(c->action, "drop");
	if (!check(c, body, drop, e)) return false;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	struct err why = ERR_INIT;
	if (!parse_selector(s, st, &why)) return stage_refuse(body, "selector", e, "selector: %s", why.msg);
	if (!drop) st->nested = pipeline_nested(s, c->stages, e);
	return drop || st->nested;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	selector_fini(&st->selector);
	linefilters_free(st->filters);
	pipeline_free(st->nested);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct state *st = s->state;
	if (st->nested) pipeline_plan(st->nested, r);
}

static bool matches(const struct state *st, const struct entry *e)
{
	return selector_match(&st->selector, &e->labels) && linefilters_match(st->filters, e->line);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct batch out = {.arena = b->arena}, some = {.arena = b->arena};
	for (size_t i = 0; i <= b->n; i++) {
		bool match = i < b->n && matches(st, &b->v[i]);
		if (match && !st->nested) {
			stage_drop_entry(s, &b->v[i], c->reason);
			continue;
		}
		if (match) {
			*batch_push(&some) = b->v[i];
			continue;
		}
		if (some.n) {
			pipeline_run_nested(st->nested, &some);
			batch_append(&out, &some);
			some.n = 0;
		}
		if (i < b->n) *batch_push(&out) = b->v[i];
	}
	*b = out;
}

static int64_t deadline(const struct stage *s)
{
	const struct state *st = s->state;
	return st->nested ? pipeline_deadline(st->nested) : INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	const struct state *st = s->state;
	(void)now;
	pipeline_tick(st->nested, b);
}

static void flush(struct stage *s, struct batch *b)
{
	const struct state *st = s->state;
	if (st->nested) pipeline_flush(st->nested, b);
}

static bool full(const struct stage *s)
{
	const struct state *st = s->state;
	return st->nested && pipeline_full(st->nested);
}

static const struct conf_field fields[] = {
	{.key = "selector",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, selector),
	 .doc = "Label matchers and line filters, as {app=\"x\"} |= \"error\"."},
	{.key = "stages",
	 .kind = CONF_NODE,
	 .off = offsetof(struct conf, stages),
	 .doc = "Stages for the entries that match."},
	{.key = "action",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, action),
	 .doc = "keep (default): run the stages; drop: drop the entries that match."},
	{.key = "pipeline_name",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, pipeline_name),
	 .doc = "Has no effect."},
	{.key = "drop_counter_reason",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, reason),
	 .def = "match_stage",
	 .doc = "Reason that dropped entries are counted under."},
	{0},
};
static const struct conf_table table = {"match stage",   sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_match = {
	.name = "match",
	.doc = "Runs stages over the entries that match a selector, or drops them.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
	.full = full,
};
