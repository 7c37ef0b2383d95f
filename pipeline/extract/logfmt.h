/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/logfmt: LogQL's `| logfmt [--strict] [--keep-empty] [a="key", b]`: key=value key="quoted \"value\"" key.
 *
 * Without --strict a bad pair is skipped and reading goes on; with it reading stops, error is LogfmtParserErr and
 * detail e.g. `logfmt syntax error at pos 8 : unexpected '"'`. Pairs are separated by bytes up to ' '. Values borrow
 * from the line unless escaped. No state but the caller's; any thread; linear. */
#ifndef LARCH_PIPELINE_EXTRACT_LOGFMT_H
#define LARCH_PIPELINE_EXTRACT_LOGFMT_H

#include "common/err.h"
#include "pipeline/extract/extract.h"

enum { LOGFMT_STRICT = 1, LOGFMT_KEEP_EMPTY = 2 };

void extract_logfmt(struct str line, unsigned flags, struct extract *x);

/* The key that an expression of `logfmt a="key"` names; borrows from it. Error: `cannot parse expression [EXPR]: …`. */
bool logfmt_expr(struct str expr, struct str *key, struct err *e);
/* Requested keys: every name is reported once, "" when its key is missing; the last occurrence counts. A key that is
 * itself one of the names counts too. exprs[i].expr is the key in the line (logfmt_expr). Of the flags only
 * LOGFMT_STRICT has an effect. */
void extract_logfmt_keys(const struct extract_expr *exprs, size_t n, struct str line, unsigned flags,
			 struct extract *x);

/* The tokenizer itself, for whoever wants plain pairs (the agent's logfmt stage). */
struct logfmt_pair {
	struct str key, value; /* a quoted value with escapes is unescaped into the arena */
	bool has_value;        /* there was a "=" */
};
/* The next pair at *pos. False: the line ends, or (detail->n > 0, text in the arena) there was a fault, which *pos has
 * been moved past. */
bool logfmt_next(struct str line, size_t *pos, struct arena *a, struct logfmt_pair *p, struct str *detail);

#endif
