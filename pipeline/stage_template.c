/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template: an extracted value is made by a Go template over all extracted values; an empty result unsets it. When the
 * template fails on an entry, nothing changes. */
#include "pipeline/entry_data.h"
#include "pipeline/stage.h"

struct conf {
	struct str source, text;
};
struct state {
	struct template *t;
	struct buf out;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->source.n)
		return stage_refuse(body, "source", e,
				    "source must be set: name the extracted value that the result goes to");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	struct err why = ERR_INIT;
	st->t = template_compile(c->text, "pipeline_template", template_funcs_agent(), &why);
	return st->t || stage_refuse(body, "template", e, "%s", why.msg);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	template_free(st->t);
	buf_free(&st->out);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	reads_add(r, c->source);
	entry_data_reads(((const struct state *)s->state)->t, r);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct err why = ERR_INIT;
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct entry_data d;
		entry_data_init(&d, b, e);
		d.has_line = true;
		stage_text(b, e, c->source, &d.value);
		buf_clear(&st->out);
		if (!template_run(st->t, &d.data, &st->out, b->arena, &why)) continue;
		if (st->out.n)
			stage_set(b, e, c->source, arena_str(b->arena, buf_view(&st->out)));
		else
			entry_unset(b, e, c->source);
	}
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value that is .Value in the template and takes the result."},
	{.key = "template", .kind = CONF_STR, .off = offsetof(struct conf, text), .doc = "Go template."},
	{0},
};
static const struct conf_table table = {"template stage", sizeof(struct conf), fields,
					.lenient = true,  .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_template = {
	.name = "template",
	.doc = "Makes an extracted value by a Go template.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
