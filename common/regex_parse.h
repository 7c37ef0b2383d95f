/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex_parse: the syntax tree of a regular expression in RE2's grammar, as Go's regexp/syntax reads it with its
 * Perl flags (https://pkg.go.dev/regexp/syntax). What Go refuses is refused here, in Go's words.
 *
 * The tree is plain data in its own arena, immutable once parsed: any thread may read it. Its height is at most
 * RE_MAX_HEIGHT, so walking it may recurse. Cost: linear in the pattern; repeats are not expanded. */
#ifndef LARCH_COMMON_REGEX_PARSE_H
#define LARCH_COMMON_REGEX_PARSE_H

#include "common/arena.h"
#include "common/err.h"

#define RE_MAX_HEIGHT 1000
#define RE_MAX_REPEAT 1000
#define RE_MAX_SIZE   3355443 /* instructions after expanding repeats: Go's limit */

enum re_op {
	RE_NONE,  /* matches nothing */
	RE_EMPTY, /* matches the empty text */
	RE_LIT,
	RE_CLASS,
	RE_ANY,
	RE_ANY_NOT_NL,
	RE_LINE_START,
	RE_LINE_END,
	RE_TEXT_START,
	RE_TEXT_END,
	RE_WORD,
	RE_NOT_WORD,
	RE_GROUP, /* a capturing group */
	RE_REPEAT,
	RE_CONCAT,
	RE_ALT
};

struct re_range {
	uint32_t lo, hi; /* inclusive */
};

struct re_prop {
	struct str name; /* as PCRE2 writes it inside \p{…} */
	bool negate;
};

/* Members beyond op belong to the ops named. Positions behind a bad byte read as U+FFFD. */
struct re_node {
	enum re_op op;
	bool icase;     /* LIT (then ASCII only), CLASS: Unicode simple folding */
	bool negate;    /* CLASS: everything but ranges and props, after folding */
	bool lazy;      /* REPEAT */
	bool nullable;  /* may match the empty text */
	int min, max;   /* REPEAT; max -1: no limit */
	unsigned group; /* GROUP: its number, from 1 */
	unsigned id;    /* CLASS: numbered from 0 */
	unsigned height;
	uint64_t size;          /* instructions after expanding repeats, at least 1 */
	struct str text;        /* LIT: UTF-8, never holding U+FFFD */
	struct re_range *range; /* CLASS: sorted, disjoint */
	size_t n_range;
	struct re_prop *prop; /* CLASS */
	size_t n_prop;
	struct re_node **sub; /* GROUP, REPEAT: one; CONCAT, ALT: two or more */
	size_t n_sub;
};

struct re_ast {
	struct arena a;
	struct str pattern; /* own copy */
	struct re_node *root;
	unsigned n_groups;
	unsigned n_classes;
	struct str *name; /* [1..n_groups]; n == 0: unnamed */
};

enum { RE_ICASE = 1, RE_DOTALL = 2 };

/* On failure there is nothing to free. Error: "error parsing regexp: CODE: `EXPR`". */
bool re_parse(struct re_ast *t, struct str pattern, unsigned flags, struct err *e);
void re_ast_free(struct re_ast *t);
/* A node over others, for rewriting (in t's arena, which the caller must still own alone). n == 0: RE_EMPTY, 1: the
 * node itself. */
struct re_node *re_concat(struct re_ast *t, struct re_node *const *sub, size_t n);
struct re_node *re_leaf(struct re_ast *t, enum re_op op);
bool re_is_dot_star(const struct re_node *n); /* .* or .*?, with or without newlines */

/* \w */
static inline bool re_is_word(unsigned char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c < 0x80 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

#endif
