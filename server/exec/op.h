/* SPDX-License-Identifier: GPL-2.0-or-later */
/* op: one stage of a pipeline, run over a batch at a time.
 *
 * A stage of LogQL is one row in a file's table of kinds (op_filter, op_parse, op_format); plan.c looks a kind up by
 * the stage's place in the query. An op is immutable and shared by all workers; what a worker needs besides is
 * an op_local, opened once per worker and op. run() changes rows in place and shortens the selection. */
#ifndef LARCH_SERVER_EXEC_OP_H
#define LARCH_SERVER_EXEC_OP_H

#include "pipeline/extract/extract.h"
#include "server/exec/batch.h"
#include "server/logql/ast.h"

/* What later stages and the result need of parsers (logql.md, Parser hints). */
struct op_hints {
	const struct str *want; /* labels that something reads; NULL: all */
	size_t n_want;
	bool skip_parsers;    /* nothing reads any parsed label */
	bool preserve_errors; /* the result groups by the error: errors do not fail the query */
	/* Filters on a single label: as soon as a parser gives that label a value that fails, the row is out. */
	const struct logql_filter **checks;
	size_t n_checks;
};

struct op_local {
	struct extract x; /* parsers */
	struct buf buf;   /* formatters */
	struct arena *arena;
};

struct op {
	const struct op_kind *kind;
	const struct logql_stage *stage;
	const struct op_hints *hints;
};

struct op_kind {
	void (*open)(const struct op *o, struct op_local *l);
	void (*run)(const struct op *o, struct op_local *l, struct exec_batch *b);
	void (*close)(struct op_local *l);
};

/* Indexed by enum logql_stage_kind, LOGQL_STAGE_KINDS included; holes elsewhere. Unrolling, which multiplies rows, and
 * what looks at all lines of an answer are no ops: see op_unroll.h and lines.h. */
extern const struct op_kind op_filter_kinds[], op_parse_kinds[], op_format_kinds[];
const struct op_kind *op_kind_of(enum logql_stage_kind k);
/* Does a stage of this kind make labels out of the line? */
bool op_is_parser(enum logql_stage_kind k);

/* Does the row pass a label filter? May set the row's error, as a stage does. */
bool op_filter_row(const struct logql_filter *f, struct arena *a, struct row *r);
/* Sets the error of a row; texts must live as long as the batch. */
void op_row_fail(const struct op *o, struct arena *a, struct row *r, struct str error, struct str details);

#endif
