/* SPDX-License-Identifier: GPL-2.0-or-later */
/* op_unroll: `| unroll "path"`: a row whose line has a JSON array there becomes one row per element.
 *
 * The line is the element then: a string without its quotes, anything else as it is written. Labels stay. A line that
 * is JSON but has no array there stays as it is; one that is no JSON does too, and gets the error that `| json` gives.
 * Since rows multiply, this is no op: op_scan hands over the rows of one batch and takes as many batches of at most
 * SCAN_ROWS rows as there are, so that memory does not depend on the lengths of arrays. One thread. */
#ifndef LARCH_SERVER_EXEC_OP_UNROLL_H
#define LARCH_SERVER_EXEC_OP_UNROLL_H

#include "common/json.h"
#include "server/exec/op.h"

struct unroll {
	const struct op *op;
	const struct exec_batch *from; /* the rows to unroll; NULL: none */
	size_t at;                     /* of its selection: the next row */
	const struct row *row;         /* whose elements are being handed out; NULL: none */
	struct json elements;
	struct err err;
	struct extract x;
};

/* scratch: lives as long as the batch that is unrolled. */
void unroll_init(struct unroll *u, const struct op *op, struct arena *scratch);
void unroll_free(struct unroll *u);
void unroll_start(struct unroll *u, const struct exec_batch *from);
/* Fills the selection of *to with the next rows; false: there are none left. */
bool unroll_next(struct unroll *u, struct exec_batch *to);

#endif
