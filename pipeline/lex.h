/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lex: the tokens of LogQL, for the query parser, selectors, line filters and the match stage.
 *
 * One token of lookahead: lx.tok is the current token, lex_next() moves on. A scanning error (or a
 * syntax error made by lex_unexpected) fills *e once; from then on the current token is TOK_ERROR and stays
 * so, so a parser may go on to its next check and fail there: the first error is the one reported.
 * Source, arena and err are the caller's and outlive the lexer; identifiers borrow from the source, strings
 * from the source when nothing is escaped, else from the arena. One owner thread; O(length) in all.
 * Messages and places are Loki's (pkg/logql/syntax, over Go's text/scanner): columns count characters;
 * line is 0 behind a token whose end was only found by looking ahead (two-character symbols, ranges,
 * durations), and such places are reported so. */
#ifndef LARCH_PIPELINE_LEX_H
#define LARCH_PIPELINE_LEX_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

enum tok_kind {
	TOK_EOF,
	TOK_ERROR,
#define TOK(name, text, how) TOK_##name,
#include "pipeline/tokens.def"
#undef TOK
	TOK_KINDS
};

struct tok {
	enum tok_kind kind;
	size_t from, to; /* byte offsets in the source */
	int line, col;   /* for messages, see above */
	struct str text; /* as written; TOK_IDENT: the name (any stray character is an identifier too, as in Loki) */
	struct str str;  /* TOK_STRING: the value */
	int64_t dur;     /* TOK_DURATION, TOK_RANGE: nanoseconds */
	uint64_t bytes;  /* TOK_BYTES */
};

enum {
	LEX_NO_RAW = 1,    /* `…` strings are refused (Promtail's match stage) */
	LEX_EXTENSIONS = 2 /* for the parsers: what goes beyond Loki's language is taken (docs/LOGQL-EXTENSIONS.md) */
};

struct lex {
	struct str src;
	struct arena *a;
	struct err *e;
	unsigned flags;
	struct tok tok; /* the current token */
	size_t pos;     /* next byte to read */
	int line, col;  /* of the next character */
};

#define LEX_MAX_SIZE 131072 /* longer sources are refused: "input size too long (N > 131072)" */

/* Reads the first token. */
void lex_init(struct lex *lx, struct str src, struct arena *a, unsigned flags, struct err *e);
void lex_next(struct lex *lx);
/* If the current token is of this kind, moves on and says true. */
bool lex_accept(struct lex *lx, enum tok_kind kind);
/* The same, and on false it is a syntax error that expected just this kind. */
bool lex_expect(struct lex *lx, enum tok_kind kind);
/* "syntax error: unexpected T, expecting A or B": always false, as is any syntax error. The kinds expected are
 * named only if there are one to four, in the order of tokens.def whatever the caller's order: what
 * Loki's generated parser does. lex_unexpected(lx) expects nothing in particular. */
#define lex_unexpected(lx, ...)                                                                                        \
	lex_unexpected_of((lx), (const enum tok_kind[]){TOK_EOF, ##__VA_ARGS__} + 1,                                   \
			  sizeof((const enum tok_kind[]){TOK_EOF, ##__VA_ARGS__}) / sizeof(enum tok_kind) - 1)
bool lex_unexpected_of(struct lex *lx, const enum tok_kind *expected, size_t n);
/* An error of the parser's own at the current token ("parse error at line …: msg") … */
bool lex_fail(struct lex *lx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* … and one without a place ("parse error : msg"). Both stop the lexer like a syntax error. */
bool lex_fail_nowhere(struct lex *lx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* How messages name a kind: "IDENTIFIER", "=~", "RATE", "$end". */
const char *tok_name(enum tok_kind kind);
/* Puts "parse error at line L, col C: " or "parse error : " before the text, once, by the place in *e. */
bool lex_wrap(struct err *e);

#endif
