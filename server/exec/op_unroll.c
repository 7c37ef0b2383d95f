/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/op_unroll.h"

void unroll_init(struct unroll *u, const struct op *op, struct arena *scratch)
{
	*u = (struct unroll){.op = op, .err = ERR_INIT};
	extract_init(&u->x, scratch, NULL, 0);
}

void unroll_free(struct unroll *u) { extract_free(&u->x); }

void unroll_start(struct unroll *u, const struct exec_batch *from)
{
	u->from = from;
	u->at = 0;
	u->row = NULL;
}

/* A copy of its own: what later stages set on one element must not show on the next. */
static struct row *add_row(struct exec_batch *to, const struct row *of)
{
	struct row *r = &to->rows[to->n_sel];
	*r = *of;
	r->parsed = arena_alloc(to->arena, (of->n_parsed + 1) * sizeof *r->parsed);
	if (of->n_parsed) memcpy(r->parsed, of->parsed, of->n_parsed * sizeof *r->parsed);
	r->cap_parsed = of->n_parsed + 1;
	r->hidden = arena_alloc(to->arena, (of->n_hidden + 1) * sizeof *r->hidden);
	if (of->n_hidden) memcpy(r->hidden, of->hidden, of->n_hidden * sizeof *r->hidden);
	r->cap_hidden = of->n_hidden + 1;
	to->sel[to->n_sel] = (uint16_t)to->n_sel;
	to->n_sel++;
	return r;
}

/* What the path finds in the line; the line itself without a path. */
static struct str find(struct unroll *u, const struct row *r)
{
	const struct logql_stage *s = u->op->stage;
	extract_reset(&u->x);
	if (!s->n_exprs) return r->line;
	extract_json_paths(s->paths, r->line, &u->x);
	return u->x.n ? u->x.v[0].value : STR("");
}

/* Begins the row's array; a row without one goes on as it is. */
static void begin_row(struct unroll *u, const struct row *r, struct exec_batch *to)
{
	struct str text = str_trim(find(u, r));
	struct err e = ERR_INIT;
	struct json whole;
	json_init(&whole, text, &e);
	bool valid = !u->x.error && (text.n == 0 || (json_skip(&whole) && json_next(&whole) == JSON_END));
	if (valid && text.n && text.p[0] == '[') {
		u->row = r;
		json_init(&u->elements, text, &u->err);
		json_next(&u->elements);
		return;
	}
	struct row *same = add_row(to, r);
	bool broken = u->x.error || (!valid && !u->op->stage->n_exprs);
	if (broken && !same->error.n) op_row_fail(u->op, to->arena, same, STR("JSONParserErr"), u->x.detail);
}

static void next_element(struct unroll *u, struct exec_batch *to)
{
	struct json ahead = u->elements;
	enum json_tok t = json_next(&ahead);
	if (t == JSON_ARR_CLOSE || t == JSON_ERROR || t == JSON_END) {
		u->row = NULL;
		return;
	}
	struct row *r = add_row(to, u->row);
	if (t == JSON_STRING) {
		char *p = arena_alloc(to->arena, ahead.text.n + 1);
		r->line = ahead.escaped ? str_of(p, json_unescape(ahead.text, p)) : ahead.text;
		u->elements = ahead;
	} else if (!json_raw(&u->elements, &r->line)) {
		u->row = NULL;
	}
	r->len = (uint32_t)r->line.n;
}

bool unroll_next(struct unroll *u, struct exec_batch *to)
{
	to->n_sel = 0;
	while (to->n_sel < SCAN_ROWS) {
		if (u->row) {
			next_element(u, to);
			continue;
		}
		if (!u->from || u->at == u->from->n_sel) break;
		begin_row(u, &u->from->rows[u->from->sel[u->at++]], to);
	}
	return to->n_sel > 0;
}
