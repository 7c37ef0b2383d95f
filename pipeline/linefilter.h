/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linefilter: |= != |~ !~ |> !> with `or` chains and ip(), and |=i !=i (an extension): does a line pass?
 *
 * Parsed and compiled are two forms, since a query is also printed and shortened without ever being run, and
 * faults inside an operand are found when it is compiled. Parsed filters live in the lexer's arena and borrow
 * from it. A compiled group is self-contained, immutable and shared between threads; all its filters must
 * pass. It runs plain substrings first (cheapest), then patterns and addresses, regular expressions last.
 * A chain of `or`: for |= |~ |> any operand may match, for != !~ !> none may. ip() counts only as the first
 * operand of |=; a later one is a plain string, as in Loki. |= "" passes every line.
 * |=i and !=i ignore case: of ASCII letters in an ASCII operand, else by Unicode's simple folding. */
#ifndef LARCH_PIPELINE_LINEFILTER_H
#define LARCH_PIPELINE_LINEFILTER_H

#include "pipeline/lex.h"

enum linefilter_op {
	LINEFILTER_EQ,
	LINEFILTER_NEQ,
	LINEFILTER_RE,
	LINEFILTER_NRE,
	LINEFILTER_PAT,
	LINEFILTER_NPAT,
	LINEFILTER_FOLD, /* |=i, with LEX_EXTENSIONS */
	LINEFILTER_NFOLD
};

struct linefilter_operand {
	struct str text;
	bool ip; /* written as ip("…") */
};

struct linefilter {
	enum linefilter_op op;
	struct linefilter_operand *v; /* the chain, n >= 1 */
	size_t n;
};

/* Is this the first token of a line filter? */
bool linefilter_starts(enum tok_kind kind);
/* Does it pass what none of its operands matches? */
bool linefilter_denies(enum linefilter_op op);
/* One filter with its chain; the current token must start one. Errors go to the lexer's err. */
bool linefilter_parse(struct lex *lx, struct linefilter *f);
/* |= "a" or "b"; but != "a" != "b", as Loki prints a chain that denies. */
void linefilter_print(struct buf *b, const struct linefilter *f);

struct linefilters;

/* Compiles a group. On failure *bad (if not NULL) is the index of the filter at fault. Errors in Loki's words:
 * "error parsing regexp: …", "ip: invalid pattern: \"…\"", "ip: invalid operation",
 * "named captures are not allowed: found '<x>'". n == 0 passes everything. */
struct linefilters *linefilters_new(const struct linefilter *f, size_t n, size_t *bad, struct err *e);
void linefilters_free(struct linefilters *g);
bool linefilters_match(const struct linefilters *g, struct str line);
/* A case-sensitive text that every passing line contains (the longest known); n == 0: none. For scanning
 * whole blocks before splitting them into lines. Borrows from g. */
struct str linefilters_needle(const struct linefilters *g);
/* Filter by filter (0 to linefilters_count): calls fn for texts of which every line that passes it contains at least
 * one, `fold`: in any case as the regex engine folds, k and s beyond ASCII; other ASCII texts may differ in ASCII case.
 * For asking an index. False: nothing is known, and what fn was told is void. Texts borrow from g. */
size_t linefilters_count(const struct linefilters *g);
bool linefilters_texts(const struct linefilters *g, size_t i, void (*fn)(void *ud, struct str text, bool fold),
		       void *ud);

#endif
