/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replace: in every match of an expression, each capture group's text is replaced by a template's result (.Value is
 * that text); what is outside of groups stays. The result becomes the line, or the source's value. Named groups of the
 * first match become extracted values: what their text was replaced by. */
#include "pipeline/entry_data.h"
#include "pipeline/stage.h"

struct conf {
	struct str expression, source, replace;
};
struct named {
	size_t group;
	struct str name, text; /* text: of the first match */
	struct str result;     /* p NULL: that text was not replaced */
};
struct state {
	struct regex *re;
	struct template *t; /* NULL: does not compile, nothing is replaced */
	struct regex_span *spans;
	size_t groups;
	struct named *named;
	size_t n_named;
	struct buf out, piece;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->expression.n) return stage_refuse(body, "expression", e, "expression must be set");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to replace in the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->re = stage_compile(body, "expression", c->expression, e);
	if (!st->re) return false;
	st->groups = regex_groups(st->re);
	st->spans = arena_alloc(s->arena, (st->groups + 1) * sizeof *st->spans);
	st->named = arena_alloc(s->arena, (st->groups + 1) * sizeof *st->named);
	for (size_t i = 1; i <= st->groups; i++) {
		struct str name = regex_group_name(st->re, i);
		if (name.n) st->named[st->n_named++] = (struct named){.group = i, .name = name};
	}
	struct err why = ERR_INIT;
	st->t = template_compile(c->replace, "pipeline_template", template_funcs_agent(), &why);
	if (!st->t && stage_is_alloy(s)) return stage_refuse(body, "replace", e, "%s", why.msg);
	if (!st->t) stage_warn(s, body, "replace", why.msg);
	return true;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	regex_free(st->re);
	template_free(st->t);
	buf_free(&st->out);
	buf_free(&st->piece);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	reads_add(r, c->source);
	if (st->t) entry_data_reads(st->t, r);
}

static struct str group_text(const struct state *st, struct str in, size_t group)
{
	struct regex_span sp = st->spans[group];
	return sp.from < 0 ? STR("") : str_sub(in, (size_t)sp.from, (size_t)sp.to);
}

/* Equal captured texts share the last result, wherever they stood. */
static void note_result(struct state *st, struct arena *a, struct str text, struct str result)
{
	for (size_t i = 0; i < st->n_named; i++)
		if (str_eq(st->named[i].text, text)) st->named[i].result = arena_str(a, result);
}

/* The groups of one match. *done: how much of the input is in the output. */
static bool replace_groups(struct state *st, struct entry_data *d, struct str in, size_t *done, struct err *e)
{
	for (size_t i = 1; i <= st->groups; i++) {
		if (st->spans[i].from < 0) continue;
		size_t from = (size_t)st->spans[i].from;
		d->value = group_text(st, in, i);
		buf_clear(&st->piece);
		if (!template_run(st->t, &d->data, &st->piece, d->batch->arena, e)) return false;
		if (from >= *done) { /* else it lies inside a group that was replaced */
			buf_str(&st->out, str_sub(in, *done, from));
			buf_str(&st->out, buf_view(&st->piece));
			*done = (size_t)st->spans[i].to;
		}
		note_result(st, d->batch->arena, d->value, buf_view(&st->piece));
	}
	return true;
}

/* The next match at or after *pos, as Go finds all of them: no empty match right behind the last one. */
static bool next_match(const struct state *st, struct str in, size_t *pos, ssize_t *last_end)
{
	while (*pos <= in.n && regex_exec(st->re, in, *pos, st->spans, st->groups + 1)) {
		struct regex_span m = st->spans[0];
		bool taken = m.to != m.from || m.from != *last_end;
		if ((size_t)m.to == *pos) {
			size_t next = *pos;
			if (next < in.n)
				str_rune(in, &next);
			else
				next++;
			*pos = next;
		} else {
			*pos = (size_t)m.to;
		}
		*last_end = m.to;
		if (taken) return true;
	}
	return false;
}

/* False: no match, or the template failed. */
static bool replace_all(struct state *st, struct batch *b, struct entry *e, struct str in)
{
	struct err why = ERR_INIT;
	struct entry_data d;
	size_t pos = 0, done = 0;
	ssize_t last_end = -1;
	entry_data_init(&d, b, e);
	buf_clear(&st->out);
	for (bool first = true; next_match(st, in, &pos, &last_end); first = false) {
		for (size_t i = 0; first && i < st->n_named; i++) {
			st->named[i].text = group_text(st, in, st->named[i].group);
			st->named[i].result = STR_NULL;
		}
		if (!replace_groups(st, &d, in, &done, &why)) return false;
	}
	if (last_end < 0) return false;
	buf_str(&st->out, str_from(in, done));
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	for (size_t i = 0; st->t && i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str in;
		if (!stage_input(b, e, c->source, &in) || !replace_all(st, b, e, in)) continue;
		struct str out = arena_str(b->arena, buf_view(&st->out));
		if (c->source.n)
			stage_set(b, e, c->source, out);
		else
			e->line = out;
		for (size_t k = 0; k < st->n_named; k++)
			if (st->named[k].result.p) stage_set(b, e, st->named[k].name, st->named[k].result);
	}
}

static const struct conf_field fields[] = {
	{.key = "expression",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, expression),
	 .doc = "RE2 expression; the text of its capture groups is replaced."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to work on instead of the line."},
	{.key = "replace",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, replace),
	 .doc = "Go template of the replacement; .Value is the group's text."},
	{0},
};
static const struct conf_table table = {"replace stage", sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_replace = {
	.name = "replace",
	.doc = "Replaces what the groups of an expression match.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
