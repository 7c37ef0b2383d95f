/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan: how a selector with its pipeline runs: what the scan does, which operators follow, what they need.
 *
 * Immutable once made; in the query's arena, pointing into the tree. */
#ifndef LARCH_SERVER_EXEC_PLAN_H
#define LARCH_SERVER_EXEC_PLAN_H

#include "server/exec/op.h"

/* Which labels of a row name its series. */
enum plan_group { PLAN_GROUP_ALL, PLAN_GROUP_NONE, PLAN_GROUP_BY, PLAN_GROUP_WITHOUT };

enum plan_value { PLAN_COUNT, PLAN_BYTES, PLAN_UNWRAP };

/* How a row becomes a sample. */
struct plan_sample {
	enum plan_value value;
	const struct logql_unwrap *unwrap; /* PLAN_UNWRAP */
	enum plan_group group;
	struct str *names; /* BY, WITHOUT; sorted */
	size_t n_names;
	bool meta_twice; /* variants: metadata shows a second time under name_extracted */
};

struct plan {
	const struct selector *selector;
	const struct linefilters *filters; /* run by the scan; NULL: none */
	struct op *ops;                    /* unroll is one without a kind */
	size_t n_ops;
	/* The stages at the end that look at all lines of the answer; NULL: none. */
	const struct logql_stage *group; /* uniq, top */
	const struct logql_stage *sort;
	struct op_hints hints;
	bool is_log;
	struct plan_sample sample;
	bool reads_line;   /* an op or the result looks at the line itself */
	bool reads_labels; /* an op looks at labels, so metadata is needed for every row */
	bool line_made;    /* the line's length is not that of the stored line */
};

void plan_log(struct arena *a, const struct logql_log *log, struct plan *p);
/* x is a range aggregation; outer the grouping of a sum directly around it, which moves into the scan, or NULL. */
void plan_range(struct arena *a, const struct logql_expr *x, const struct logql_grouping *outer, struct plan *p);
/* Does `sum` around this range function group while scanning? */
bool plan_pushes_group(const struct logql_expr *vector_agg);

/* SCAN_… columns for rows of a stream with these labels (NULL: of any stream). */
unsigned plan_columns(const struct plan *p, const struct labels *stream);

#endif
