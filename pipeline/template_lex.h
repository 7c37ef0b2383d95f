/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template_lex: the tokens of Go's text/template. The whole text is cut at once; a fault is a token of its own at the
 * end, so that it is reported only if the parser gets that far, as in Go. Private to pipeline/template. */
#ifndef LARCH_PIPELINE_TEMPLATE_LEX_H
#define LARCH_PIPELINE_TEMPLATE_LEX_H

#include "common/arena.h"

enum ttok_kind {
	T_ERROR,
	T_EOF,
	T_TEXT,
	T_LEFT,  /* {{ */
	T_RIGHT, /* }} */
	T_SPACE,
	T_ASSIGN,
	T_DECLARE,
	T_PIPE,
	T_LPAREN,
	T_RPAREN,
	T_CHAR, /* any other printable character */
	T_DOT,
	T_FIELD,
	T_VARIABLE,
	T_IDENT,
	T_BOOL,
	T_NUMBER,
	T_RUNE, /* 'x' */
	T_STRING,
	T_RAW,
	/* words */
	T_KEYWORD,
	T_BLOCK,
	T_BREAK,
	T_CONTINUE,
	T_DEFINE,
	T_ELSE,
	T_END,
	T_IF,
	T_NIL,
	T_RANGE,
	T_TEMPLATE,
	T_WITH
};

struct ttok {
	enum ttok_kind kind;
	uint32_t pos, line;
	struct str text; /* of T_ERROR: the message */
};

/* In the arena; the last is T_EOF or T_ERROR. Texts borrow from text. */
struct ttok *template_lex(struct arena *a, struct str text, size_t *n);

#endif
