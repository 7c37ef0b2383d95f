/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/context.h"

#include "common/budget.h"
#include "server/exec/rows.h"

#include <stdlib.h>

struct reading {
	struct exec_engine *en;
	struct store *st;
	struct str tenant;
	const struct exec_query *q;
	const struct exec_context_spec *s;
	struct exec_context *c;
	size_t cap;
};

static bool keep(struct reading *r, struct kept *k, struct err *e)
{
	struct exec_context *c = r->c;
	if (!budget_take(exec_budget(r->en), k->bytes)) {
		free(k);
		return err_set(
			e, ERR_INVALID,
			"these lines need more memory than larch.memory_limit leaves for queries: ask for fewer");
	}
	c->bytes += k->bytes;
	MEM_GROW(c->v, c->n, r->cap);
	c->v[c->n++] = k;
	return true;
}

/* The row that came first is one too many. */
static void drop_first(struct reading *r)
{
	struct exec_context *c = r->c;
	budget_give(exec_budget(r->en), c->v[0]->bytes);
	c->bytes -= c->v[0]->bytes;
	free(c->v[0]);
	memmove(c->v, c->v + 1, --c->n * sizeof(struct kept *));
}

static bool is_it(const struct exec_context_spec *s, const struct kept *k)
{
	if (s->line.p && !str_eq(s->line, k->line)) return false;
	return s->stream.n == 0 || labels_eq(&s->stream, &k->stream->labels);
}

static struct exec_rows *open_rows(struct reading *r, int64_t from, int64_t to, bool forward, struct err *e)
{
	struct exec_query q = *r->q;
	q.forward = forward;
	q.start = from > q.start ? from : q.start;
	q.end = to < q.end ? to : q.end;
	return exec_rows_open(r->en, r->st, r->tenant, &q, &(struct exec_place){0}, true, e);
}

static bool not_found(const struct exec_context_spec *s, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no such entry at %lld%s", (long long)s->ts,
		       s->line.p || s->stream.n ? " (line and stream have to be as the query shows them)" : "");
}

/* The entry, what stands before it at its time, and what follows. */
static bool read_forward(struct reading *r, struct err *e)
{
	const struct exec_context_spec *s = r->s;
	struct exec_rows *x = open_rows(r, s->ts, INT64_MAX, true, e);
	struct exec_context *c = r->c;
	bool found = false;
	struct kept *k;
	int64_t last;
	if (__builtin_add_overflow(s->ts, s->within, &last)) last = INT64_MAX;
	while (x && (!found || c->n - c->at <= s->after) && exec_rows_next(x, &k, e)) {
		bool late = !found && k->ts > last, it = !found && !late && is_it(s, k);
		if (late) free(k);
		if (late || !keep(r, k, e)) break;
		if (it) c->at = c->n - 1;
		found |= it;
		if (!found && c->n > s->before) drop_first(r);
	}
	exec_rows_close(x);
	return e->code == ERR_NONE && (found || not_found(s, e));
}

static void reverse(struct kept **v, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct kept *swap = v[i];
		v[i] = v[n - 1 - i];
		v[n - 1 - i] = swap;
	}
}

/* Rows of earlier times, in front of the others. */
static bool read_backward(struct reading *r, struct err *e)
{
	struct exec_context *c = r->c;
	size_t have = c->n, want = r->s->before - c->at;
	struct kept *k;
	if (want == 0) return true;
	struct exec_rows *x = open_rows(r, INT64_MIN, r->s->ts, false, e);
	while (x && c->n - have < want && exec_rows_next(x, &k, e) && keep(r, k, e)) {}
	exec_rows_close(x);
	c->at += c->n - have;
	reverse(c->v, have);
	reverse(c->v, c->n);
	return e->code == ERR_NONE;
}

struct exec_context *exec_context(struct exec_engine *en, struct store *st, struct str tenant,
				  const struct exec_query *q, const struct exec_context_spec *s, struct err *e)
{
	struct exec_context *c = mem_zalloc(sizeof *c);
	struct reading r = {.en = en, .st = st, .tenant = tenant, .q = q, .s = s, .c = c};
	c->engine = en;
	if (read_forward(&r, e) && read_backward(&r, e)) return c;
	exec_context_free(c);
	return NULL;
}

void exec_context_free(struct exec_context *c)
{
	if (!c) return;
	for (size_t i = 0; i < c->n; i++) free(c->v[i]);
	budget_give(exec_budget(c->engine), c->bytes);
	free(c->v);
	free(c);
}
