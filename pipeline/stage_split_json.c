/* SPDX-License-Identifier: GPL-2.0-or-later */
/* split_json: a JSON array becomes one entry for each of its elements, whose line is the element's text as it stands.
 * Anything else passes; an array without elements is dropped. Of Alloy.
 *
 * Every element has the origins of the array: its row is dealt with when all of them are (env.shared). */
#include "common/json.h"
#include "pipeline/stage.h"

struct conf {
	struct str source;
};
struct elements {
	struct str *v;
	size_t n, cap;
};

/* False: the text is no array. */
static bool split(struct arena *a, struct str in, struct elements *out)
{
	struct err e = ERR_INIT;
	struct json j;
	size_t at = 0;
	while (at < in.n && memchr(" \t\r\n", in.p[at], 4)) at++;
	if (at == in.n || in.p[at] != '[') return false;
	json_init(&j, in, &e);
	json_next(&j);
	for (enum json_tok t; (t = json_next(&j)) != JSON_ARR_CLOSE;) {
		size_t from = j.tok_at;
		if (t == JSON_ERROR || !json_skip_rest(&j, t)) return false;
		*ARENA_PUSH(a, out->v, out->n, out->cap) = str_sub(in, from, j.pos);
	}
	return json_next(&j) == JSON_END;
}

/* An entry like e with values of its own. */
static void add_like(struct batch *out, const struct entry *e, struct str line)
{
	struct entry *child = batch_push(out);
	*child = *e;
	child->line = line;
	child->extracted = arena_alloc(out->arena, (e->nextracted + 1) * sizeof *child->extracted);
	if (e->nextracted) memcpy(child->extracted, e->extracted, e->nextracted * sizeof *child->extracted);
	child->cap_extracted = e->nextracted + 1;
}

static void add_elements(struct stage *s, struct batch *out, struct entry *e, const struct elements *found)
{
	e->labels_own = e->meta_own = false; /* shared from here on */
	e->cap_origins = 0;
	if (s->env->shared && found->n > 1) s->env->shared(s->env->ud, e, found->n - 1);
	for (size_t i = 0; i < found->n; i++) add_like(out, e, found->v[i]);
}

static void plan(struct stage *s, struct reads *r) { reads_add(r, ((const struct conf *)s->conf)->source); }

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct batch out = {.arena = b->arena};
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct elements found = {0};
		struct str in;
		bool is_array = stage_input(b, e, c->source, &in) && split(b->arena, in, &found);
		if (!is_array)
			*batch_push(&out) = *e;
		else if (found.n)
			add_elements(s, &out, e, &found);
		else
			stage_drop_entry(s, e, STR("split_json_empty"));
	}
	*b = out;
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to split instead of the line."},
	{0},
};
static const struct conf_table table = {"split_json stage", sizeof(struct conf), fields,
					.lenient = true,    .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_split_json = {
	.name = "split_json",
	.doc = "Makes an entry of each element of a JSON array.",
	.conf = &table,
	.plan = plan,
	.run = run,
};
