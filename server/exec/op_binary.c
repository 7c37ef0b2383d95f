/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/eval.h"

#include <math.h>
#include <stdlib.h>

/* ---- operators on two numbers ---- */

static double add(double a, double b) { return a + b; }
static double sub(double a, double b) { return a - b; }
static double mul(double a, double b) { return a * b; }
static double divide(double a, double b) { return b == 0 ? NAN : a / b; }
static double mod(double a, double b) { return b == 0 ? NAN : fmod(a, b); }
static double eq(double a, double b) { return a == b; }
static double ne(double a, double b) { return a != b; }
static double gt(double a, double b) { return a > b; }
static double ge(double a, double b) { return a >= b; }
static double lt(double a, double b) { return a < b; }
static double le(double a, double b) { return a <= b; }

static double (*const number_ops[LOGQL_BINARY_OPS])(double, double) = {
	[LOGQL_OP_ADD] = add, [LOGQL_OP_SUB] = sub, [LOGQL_OP_MUL] = mul,   [LOGQL_OP_DIV] = divide,
	[LOGQL_OP_MOD] = mod, [LOGQL_OP_POW] = pow, [LOGQL_OP_CMP_EQ] = eq, [LOGQL_OP_NEQ] = ne,
	[LOGQL_OP_GT] = gt,   [LOGQL_OP_GTE] = ge,  [LOGQL_OP_LT] = lt,     [LOGQL_OP_LTE] = le,
};

static bool compares(const struct node *nd) { return logql_binary_ops[nd->x->binary.op].flags & LOGQL_COMPARES; }
static bool is_set_op(const struct node *nd) { return logql_binary_ops[nd->x->binary.op].flags & LOGQL_SET_OP; }

/* The result of a op b; a filter (a comparison without bool) lets `kept` through or nothing. */
static bool apply(const struct node *nd, double a, double b, double kept, double *out)
{
	double r = number_ops[nd->x->binary.op](a, b);
	if (!compares(nd) || nd->x->binary.return_bool) {
		*out = r;
		return true;
	}
	*out = kept;
	return r != 0;
}

/* ---- state ---- */

struct match { /* where the result for a series of the many side goes */
	uint32_t one, out;
};

struct binary_state {
	struct labelsets sigs; /* labels that must agree */
	struct arena arena;
	struct series_map left, right;         /* series → signature */
	struct series_map left_out, right_out; /* set operators: series → series of the result */
	struct match *matches;                 /* by series of the many side: the last one found */
	size_t n_matches;
	uint32_t *one_at;  /* by signature: 1 + series of the one side at this step */
	uint32_t *many_at; /* by signature: 1 + series of the many side already matched at this step */
	size_t n_at;
};

static bool binary_open(struct node *nd, struct eval *ev, struct err *e)
{
	struct binary_state *st = mem_zalloc(sizeof *st);
	const struct logql_expr *l = nd->x->binary.left, *r = nd->x->binary.right;
	nd->state = st;
	arena_init(&st->arena, 0);
	labelsets_init(&st->sigs, &st->arena);
	if (l->kind != LOGQL_LITERAL && !(nd->left = node_new(ev, l, NULL, e))) return false;
	if (r->kind != LOGQL_LITERAL && !(nd->right = node_new(ev, r, NULL, e))) return false;
	if (!nd->left && !nd->right) labelsets_add(&nd->out, &(struct labels){0}, LABELSETS_COPY);
	return true;
}

static void binary_close(struct node *nd)
{
	struct binary_state *st = nd->state;
	if (!st) return;
	labelsets_free(&st->sigs);
	arena_free(&st->arena);
	free(st->left.v);
	free(st->right.v);
	free(st->left_out.v);
	free(st->right_out.v);
	free(st->matches);
	free(st->one_at);
	free(st->many_at);
	free(st);
}

/* ---- with a literal ---- */

static void run_literal(struct node *nd, const struct block *b)
{
	const struct node *in = nd->left ? nd->left : nd->right;
	double lit = nd->left ? nd->x->binary.right->literal : nd->x->binary.left->literal;
	for (size_t i = nd->out.n; i < in->out.n; i++) labelsets_add(&nd->out, &in->out.v[i], LABELSETS_BORROW);
	node_clear(nd, b->n);
	for (size_t i = 0; i < in->out.n * b->n; i++) {
		if (!in->has[i]) continue;
		double x = in->v[i];
		nd->has[i] = nd->left ? apply(nd, x, lit, x, &nd->v[i]) : apply(nd, lit, x, x, &nd->v[i]);
	}
}

static void run_literals(struct node *nd, const struct block *b)
{
	double l = nd->x->binary.left->literal, r = nd->x->binary.right->literal;
	node_room(nd, b->n);
	for (size_t k = 0; k < b->n; k++) {
		nd->v[k] = number_ops[nd->x->binary.op](l, r);
		nd->has[k] = true;
	}
}

/* ---- signatures ---- */

static bool among(const struct str *v, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i], name)) return true;
	return false;
}

static void map_sigs(struct binary_state *st, const struct logql_matching *m, struct series_map *map,
		     const struct labelsets *in)
{
	size_t old = map->n;
	series_map_room(map, in->n);
	for (size_t i = old; i < in->n; i++) {
		struct labels l = {mem_alloc((in->v[i].n + 1) * sizeof(struct label)), 0};
		for (size_t k = 0; k < in->v[i].n; k++)
			if (among(m->names, m->n, in->v[i].v[k].name) == m->on) l.v[l.n++] = in->v[i].v[k];
		map->v[i] = labelsets_add(&st->sigs, &l, LABELSETS_COPY);
		free(l.v);
	}
}

static void room_at(struct binary_state *st)
{
	if (st->sigs.n <= st->n_at) return;
	st->n_at = st->sigs.n * 2;
	st->one_at = mem_realloc(st->one_at, st->n_at * sizeof *st->one_at);
	st->many_at = mem_realloc(st->many_at, st->n_at * sizeof *st->many_at);
}

static void clear_at(struct binary_state *st)
{
	if (!st->n_at) return;
	memset(st->one_at, 0, st->n_at * sizeof *st->one_at);
	memset(st->many_at, 0, st->n_at * sizeof *st->many_at);
}

/* ---- and, or, unless ---- */

static void map_out(struct node *nd, struct series_map *map, const struct labelsets *in)
{
	size_t old = map->n;
	series_map_room(map, in->n);
	for (size_t i = old; i < in->n; i++) map->v[i] = labelsets_add(&nd->out, &in->v[i], LABELSETS_BORROW);
}

static void copy_cell(struct node *nd, const struct node *in, const struct series_map *map, size_t i, size_t k,
		      size_t n)
{
	nd->v[map->v[i] * n + k] = in->v[i * n + k];
	nd->has[map->v[i] * n + k] = true;
}

/* Marks the signatures present on a side at step k. */
static void mark(uint32_t *at, const struct node *in, const struct series_map *map, size_t k, size_t n)
{
	for (size_t i = 0; i < in->out.n; i++)
		if (in->has[i * n + k]) at[map->v[i]] = 1;
}

static void run_set(struct node *nd, const struct block *b)
{
	struct binary_state *st = nd->state;
	bool or = nd->x->binary.op == LOGQL_OP_OR, unless = nd->x->binary.op == LOGQL_OP_UNLESS;
	map_out(nd, &st->left_out, &nd->left->out);
	if (or) map_out(nd, &st->right_out, &nd->right->out);
	node_clear(nd, b->n);
	for (size_t k = 0; k < b->n; k++) {
		clear_at(st);
		mark(st->one_at, nd->right, &st->right, k, b->n);
		mark(st->many_at, nd->left, &st->left, k, b->n);
		for (size_t i = 0; i < nd->left->out.n; i++) {
			if (!nd->left->has[i * b->n + k]) continue;
			bool both = st->one_at[st->left.v[i]];
			if (or || both != unless) copy_cell(nd, nd->left, &st->left_out, i, k, b->n);
		}
		for (size_t i = 0; or &&i < nd->right->out.n; i++)
			if (nd->right->has[i * b->n + k] && !st->many_at[st->right.v[i]])
				copy_cell(nd, nd->right, &st->right_out, i, k, b->n);
	}
}

/* ---- matching vectors ---- */

static uint32_t result_series(struct node *nd, const struct labels *many, const struct labels *one)
{
	const struct logql_matching *m = &nd->x->binary.matching;
	struct labels l = {mem_alloc((many->n + m->n_include + 1) * sizeof *l.v), 0};
	for (size_t i = 0; i < many->n; i++) {
		struct str name = many->v[i].name;
		if (m->card == LOGQL_ONE_TO_ONE && among(m->names, m->n, name) != m->on) continue;
		if (!among(m->include, m->n_include, name)) l.v[l.n++] = many->v[i];
	}
	for (size_t i = 0; i < m->n_include; i++) {
		struct str v = labels_get(one, m->include[i]);
		if (v.n && !among(m->include, i, m->include[i])) l.v[l.n++] = (struct label){m->include[i], v};
	}
	struct str dup;
	labels_sort(l.v, l.n, &dup);
	uint32_t id = labelsets_add(&nd->out, &l, LABELSETS_COPY);
	free(l.v);
	return id;
}

/* Series of the result for a pair; makes room for it. */
static uint32_t match_out(struct node *nd, const struct node *many, const struct node *one, uint32_t i, uint32_t o,
			  size_t n)
{
	struct binary_state *st = nd->state;
	struct match *m = &st->matches[i];
	if (m->one != o || m->out == SERIES_UNKNOWN) {
		*m = (struct match){o, result_series(nd, &many->out.v[i], &one->out.v[o])};
		node_room(nd, n);
	}
	return m->out;
}

static bool duplicate(const struct logql_matching *m, struct err *e)
{
	return err_set(
		e, ERR_INTERNAL,
		"found duplicate series on the %s hand-side;many-to-many matching not allowed: matching labels must "
		"be unique on one side",
		m->card == LOGQL_ONE_TO_MANY ? "left" : "right");
}

static bool match_step(struct node *nd, const struct node *many, const struct node *one,
		       const struct series_map *many_sig, const struct series_map *one_sig, const struct block *b,
		       size_t k, struct err *e)
{
	struct binary_state *st = nd->state;
	const struct logql_matching *m = &nd->x->binary.matching;
	bool swapped = m->card == LOGQL_ONE_TO_MANY;
	clear_at(st);
	for (size_t i = 0; i < one->out.n; i++) {
		if (!one->has[i * b->n + k]) continue;
		uint32_t *at = &st->one_at[one_sig->v[i]];
		if (*at) return duplicate(m, e);
		*at = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < many->out.n; i++) {
		if (!many->has[i * b->n + k]) continue;
		uint32_t sig = many_sig->v[i], o = st->one_at[sig];
		if (!o--) continue;
		if (m->card == LOGQL_ONE_TO_ONE && st->many_at[sig])
			return err_set(e, ERR_INTERNAL,
				       "multiple matches for labels: many-to-one matching must be explicit "
				       "(group_left/group_right)");
		st->many_at[sig] = 1;
		double x = many->v[i * b->n + k], y = one->v[o * b->n + k], v;
		size_t to = match_out(nd, many, one, (uint32_t)i, o, b->n) * b->n + k;
		if (m->card != LOGQL_ONE_TO_ONE && nd->has[to])
			return err_set(e, ERR_INTERNAL,
				       "multiple matches for labels: grouping labels must ensure unique matches");
		nd->has[to] = swapped ? apply(nd, y, x, y, &v) : apply(nd, x, y, x, &v);
		nd->v[to] = v;
	}
	return true;
}

static bool run_match(struct node *nd, const struct block *b, struct err *e)
{
	struct binary_state *st = nd->state;
	bool swapped = nd->x->binary.matching.card == LOGQL_ONE_TO_MANY;
	const struct node *many = swapped ? nd->right : nd->left, *one = swapped ? nd->left : nd->right;
	if (many->out.n > st->n_matches) {
		st->matches = mem_realloc(st->matches, many->out.n * sizeof *st->matches);
		memset(st->matches + st->n_matches, 0xff, (many->out.n - st->n_matches) * sizeof *st->matches);
		st->n_matches = many->out.n;
	}
	node_clear(nd, b->n);
	for (size_t k = 0; k < b->n; k++)
		if (!match_step(nd, many, one, swapped ? &st->right : &st->left, swapped ? &st->left : &st->right, b, k,
				e))
			return false;
	return true;
}

static bool binary_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	struct binary_state *st = nd->state;
	const struct logql_matching *m = &nd->x->binary.matching;
	if (nd->left && !node_run(nd->left, ev, b, e)) return false;
	if (nd->right && !node_run(nd->right, ev, b, e)) return false;
	if (!nd->left && !nd->right) {
		run_literals(nd, b);
		return true;
	}
	if (!nd->left || !nd->right) {
		run_literal(nd, b);
		return true;
	}
	map_sigs(st, m, &st->left, &nd->left->out);
	map_sigs(st, m, &st->right, &nd->right->out);
	room_at(st);
	if (!is_set_op(nd)) return run_match(nd, b, e);
	run_set(nd, b);
	return true;
}

const struct node_kind node_binary = {binary_open, binary_run, binary_close};
