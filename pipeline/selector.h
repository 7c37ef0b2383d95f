/* SPDX-License-Identifier: GPL-2.0-or-later */
/* selector: {name="value", other=~"re"}: matchers over label values.
 *
 * A missing label is "". Regular expressions are anchored at both ends; in a stream selector `.`
 * matches newlines as well. Names and values borrow from the lexer's source and arena; compiled expressions are
 * owned by the matcher (selector_fini). Matching is const: share between threads. */
#ifndef LARCH_PIPELINE_SELECTOR_H
#define LARCH_PIPELINE_SELECTOR_H

#include "common/labels.h"
#include "common/regex.h"
#include "pipeline/lex.h"

enum match_op { MATCH_EQ, MATCH_NEQ, MATCH_RE, MATCH_NRE };

struct matcher {
	enum match_op op;
	struct str name, value;
	struct regex *re; /* MATCH_RE, MATCH_NRE */
};

struct selector {
	struct matcher *v; /* in the arena */
	size_t n;
};

/* flags: REGEX_DOTALL for stream selectors, 0 for filters on labels. Error: "error parsing regexp: …". */
bool matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, unsigned flags,
		  struct err *e);
void matcher_fini(struct matcher *m);
bool matcher_match(const struct matcher *m, struct str value);
bool matcher_eq(const struct matcher *a, const struct matcher *b); /* same op, name, value */
const char *match_op_text(enum match_op op);                       /* "=", "!=", "=~", "!~" */
bool match_op_of(enum tok_kind kind, enum match_op *op);           /* TOK_EQ, TOK_NEQ, TOK_RE, TOK_NRE */
/* name="value", the value Go-quoted. */
void matcher_print(struct buf *b, const struct matcher *m);

/* From "{" to "}". On false, nothing is left to free and the error is in the lexer's err. */
bool selector_parse(struct lex *lx, struct selector *s);
void selector_fini(struct selector *s);
bool selector_match(const struct selector *s, const struct labels *l);
/* {a="b", c=~"d"} */
void selector_print(struct buf *b, const struct selector *s);
/* At least one matcher must refuse the empty value. Error without a place, in Loki's words. */
bool selector_check(const struct selector *s, struct err *e);

#endif
