/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jmespath_impl: what the parser, the interpreter and the functions of jmespath share. */
#ifndef LARCH_PIPELINE_EXTRACT_JMESPATH_IMPL_H
#define LARCH_PIPELINE_EXTRACT_JMESPATH_IMPL_H

#include "pipeline/extract/jmespath.h"

enum jnode_kind {
	JNODE_IDENTITY, /* also @ */
	JNODE_FIELD,
	JNODE_LITERAL,
	JNODE_SUB,            /* b of what a gives: a.b, a[0], a | b */
	JNODE_INDEX,          /* slice[0] */
	JNODE_SLICE,          /* slice[0..2], given[0..2] */
	JNODE_FLATTEN,        /* of a, one level */
	JNODE_PROJECT,        /* b of each element of a */
	JNODE_PROJECT_VALUES, /* b of each value of a */
	JNODE_FILTER,         /* b of each element of a for which c holds */
	JNODE_COMPARE,
	JNODE_OR,
	JNODE_AND,
	JNODE_NOT,   /* a */
	JNODE_LIST,  /* kids */
	JNODE_HASH,  /* kids under keys */
	JNODE_CALL,  /* func of kids */
	JNODE_EXPREF /* &a: only as an argument */
};
enum jcompare { JCMP_EQ, JCMP_NE, JCMP_LT, JCMP_LE, JCMP_GT, JCMP_GE };

struct jfunc;
struct jnode {
	enum jnode_kind kind;
	enum jcompare cmp;
	unsigned depth;
	struct str name; /* FIELD, CALL */
	const struct jval *literal;
	int64_t slice[3];
	bool given[3];
	struct jnode *a, *b, *c;
	struct jnode **kids;
	struct str *keys;
	size_t n;
	const struct jfunc *func; /* NULL: unknown */
};

struct jmespath {
	struct arena arena;
	struct jnode *root;
	struct str *path; /* is_path */
	size_t n_path;
};

/* One search. */
struct jrun {
	struct arena *a;
	size_t steps;
	struct err *e;
};
const struct jval *jmespath_eval(struct jrun *r, const struct jnode *n, const struct jval *v);
bool jmespath_step(struct jrun *r, size_t n); /* false: too many */
struct jval *jmespath_list(struct jrun *r,
			   size_t room); /* an empty array with room for so many; NULL: too many steps */
static inline const struct jval *jmespath_bool(bool b) { return b ? &jval_true : &jval_false; }

/* An argument: a value, or &expression. */
struct jarg {
	const struct jval *val;
	const struct jnode *ref; /* NULL: a value */
};
const struct jfunc *jmespath_func(struct str name); /* NULL: there is none */
const struct jval *jmespath_call(struct jrun *r, const struct jfunc *f, const struct jarg *v, size_t n);

#endif
