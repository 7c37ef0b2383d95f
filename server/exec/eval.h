/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eval: samples expressions as a tree of nodes over series.
 *
 * A node numbers the series it yields; numbers hold for the whole query, so that what depends on labels alone
 * (groups, matches, new labels) is worked out once per series. Values are made a block of steps at a time: v and has
 * are out.n × block.n. One thread. A kind of expression is one row in eval.c's table and one function in
 * op_range.c, op_vector.c or op_binary.c. */
#ifndef LARCH_SERVER_EXEC_EVAL_H
#define LARCH_SERVER_EXEC_EVAL_H

#include "server/exec/labelsets.h"
#include "server/exec/query.h"

struct plan;

struct block {
	size_t from, n; /* steps */
};

struct eval { /* what all nodes of a query share */
	struct query *q;
	int64_t start, step;
	size_t n_steps;
	bool variants; /* inside variants(…) */
	size_t series; /* of all leaves, and … */
	size_t nodes;  /* … of the tree: for the size of blocks */
};

struct node;

struct node_kind {
	/* Makes the children and what holds for the whole query. */
	bool (*open)(struct node *nd, struct eval *ev, struct err *e);
	/* Fills v and has for a block, after making the children do so. */
	bool (*run)(struct node *nd, struct eval *ev, const struct block *b, struct err *e);
	void (*close)(struct node *nd);
};

struct node {
	struct query *q;
	const struct node_kind *kind;
	const struct logql_expr *x;
	const struct logql_grouping *pushed; /* range aggregations: the grouping of the sum around them, or NULL */
	struct node *left, *right;           /* children; NULL: none, or a literal */
	struct labelsets out;
	struct arena arena; /* labels of out */
	double *v;
	bool *has;
	size_t cells;
	size_t charged; /* bytes of the arena accounted for */
	void *state;
};

extern const struct node_kind node_range, node_vector_agg, node_binary, node_vector, node_label_replace;

/* The node of an expression, opened; NULL with the error. Frees with node_free(). */
struct node *node_new(struct eval *ev, const struct logql_expr *x, const struct logql_grouping *pushed, struct err *e);
void node_free(struct node *nd); /* and its children; nd may be NULL */
bool node_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e);
/* Room for out.n series in a block of n steps; new cells are empty, old ones keep their values. */
void node_room(struct node *nd, size_t n);
/* All cells empty. */
void node_clear(struct node *nd, size_t n);

/* An array that follows the number of series of a node: index → number, UINT32_MAX: not known yet. */
struct series_map {
	uint32_t *v;
	size_t n;
};
void series_map_room(struct series_map *m, size_t n);
#define SERIES_UNKNOWN UINT32_MAX

/* Runs a samples query into q->out. */
bool eval_query(struct query *q, struct err *e);

#endif
