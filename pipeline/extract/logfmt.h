/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/logfmt: LogQL's `| logfmt [--strict] [--keep-empty] [a="key", b]`: key=value key="quoted \"value\"" key.
 *
 * Without --strict a bad pair is skipped and reading goes on; with it reading stops, error is LogfmtParserErr
 * and detail e.g. `logfmt syntax error at pos 8 : unexpected '"'`. Values borrow from the line unless escaped. */
#ifndef LARCH_PIPELINE_EXTRACT_LOGFMT_H
#define LARCH_PIPELINE_EXTRACT_LOGFMT_H

#include "common/err.h"
#include "pipeline/extract/extract.h"

enum { LOGFMT_STRICT = 1, LOGFMT_KEEP_EMPTY = 2 };

void extract_logfmt(struct str line, unsigned flags, struct extract *x);
/* Requested keys: every name is reported once, "" when its key is missing; the last occurrence counts.
 * exprs[i].expr is the key in the line. Of the flags only LOGFMT_STRICT has an effect. */
void extract_logfmt_keys(const struct extract_expr *exprs, size_t n, struct str line, unsigned flags,
			 struct extract *x);

/* The tokenizer itself, for whoever wants plain pairs (agent's logfmt stage): next pair at *pos. False: end of
 * line, or (bad->n > 0) a fault, which *pos has been moved past. Key and value borrow from the line;
 * a quoted value with escapes is unescaped into the arena. has_value: there was a "=". */
struct logfmt_pair {
	struct str key, value;
	bool has_value;
};
bool logfmt_next(struct str line, size_t *pos, struct arena *a, struct logfmt_pair *p, struct str *bad);

#endif
