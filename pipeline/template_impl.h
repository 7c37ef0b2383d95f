/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template_impl: what the files of pipeline/template share. Private to them. */
#ifndef LARCH_PIPELINE_TEMPLATE_IMPL_H
#define LARCH_PIPELINE_TEMPLATE_IMPL_H

#include "common/map.h"
#include "pipeline/template.h"

enum tnode_kind {
	TN_LIST,
	TN_TEXT,
	TN_ACTION,
	TN_IF,
	TN_RANGE,
	TN_WITH,
	TN_TEMPLATE,
	TN_BREAK,
	TN_CONTINUE,
	TN_PIPE,
	TN_COMMAND,
	/* operands */
	TN_FIELD,
	TN_VARIABLE,
	TN_CHAIN,
	TN_FUNC,
	TN_DOT,
	TN_NIL,
	TN_BOOL,
	TN_NUMBER,
	TN_STRING
};

struct tnode {
	enum tnode_kind kind;
	uint32_t pos;     /* byte offset in the template's text */
	struct str text;  /* TEXT: the text; TEMPLATE: its name; operands: as written */
	struct str *name; /* FIELD, CHAIN: the fields; VARIABLE: its name and the fields; PIPE: variables it sets */
	uint32_t n_name;
	bool assign; /* PIPE: "=" rather than ":=" */
	bool is_int; /* NUMBER: it may serve as an int */
	uint32_t n_kid;
	struct tnode **kid; /* LIST: nodes; PIPE: commands; COMMAND: operands; CHAIN: [0] what has the fields */
	struct tnode *pipe; /* ACTION, IF, RANGE, WITH, TEMPLATE (may be NULL there) */
	struct tnode *list, *otherwise;
	const struct template_func *fn;
	struct tval val; /* constants */
	int64_t num;     /* NUMBER, if is_int */
};

struct template
{
	struct arena a;
	struct str text;
	const char *name;
	const struct template_funcs *funcs;
	struct tnode *root;
	struct map defined; /* name -> list node of {{define}} and {{block}} */
	bool plain;         /* root holds but texts and {{.field}} */
	bool any_field;     /* the dot escapes: any member may be read */
	bool uses_line;
	struct str *fields;
	size_t n_fields;
	struct regex **regexes; /* of constant arguments */
	size_t n_regexes;
};

/* Fills t->root and t->defined. */
bool template_parse(struct template *t, struct err *e);
const struct template_func *template_find_func(const struct template_funcs *funcs, struct str name);
/* As Go prints the node again. */
void tnode_print(struct buf *b, const struct tnode *n);

struct tvar {
	struct str name;
	struct tval v;
};

enum tflow { TFLOW_ON, TFLOW_BREAK, TFLOW_CONTINUE };

struct template_run {
	const struct template *t;
	const struct template_data *d;
	struct buf *out;
	struct arena *a;
	struct err *e;
	const struct tnode *node; /* for messages */
	struct str executing;     /* name of the template at work */
	struct tvar *vars;        /* a stack; [0] is $ */
	size_t n_vars, cap_vars;
	size_t from;       /* where the output began */
	size_t arena_from; /* bytes the arena had in use when the run began */
	unsigned depth, steps;
	enum tflow flow;
};

/* ---- values ---- */

#define TVAL_OF_STR(x)   ((struct tval){.kind = TVAL_STR, .s = (x)})
#define TVAL_OF_INT(x)   ((struct tval){.kind = TVAL_INT, .num = (x)})
#define TVAL_OF_FLOAT(x) ((struct tval){.kind = TVAL_FLOAT, .f = (x)})
#define TVAL_OF_BOOL(x)  ((struct tval){.kind = TVAL_BOOL, .b = (x)})
#define TVAL_OF_TIME(x)  ((struct tval){.kind = TVAL_TIME, .num = (x)})
#define TVAL_NOTHING     ((struct tval){.kind = TVAL_NIL})

/* Go's zero time.Time, which int64 nanoseconds cannot reach. */
#define TVAL_ZERO_TIME INT64_MIN

bool tval_true(const struct template_run *r, const struct tval *v);
bool tval_empty(const struct template_run *r, const struct tval *v); /* sprig's notion: like not true */
const char *tval_type(const struct tval *v);                         /* Go's name of the type */
/* fmt's %v. */
void tval_print(struct template_run *r, struct buf *b, const struct tval *v);
/* fmt.Sprint and fmt.Sprintf. */
void tval_sprint(struct template_run *r, struct buf *b, const struct tval *v, size_t n, bool line);
void tval_sprintf(struct template_run *r, struct buf *b, struct str fmt, const struct tval *v, size_t n);
/* Member of a map or of the dot. False: none. */
bool tval_member(const struct template_run *r, const struct tval *v, struct str name, struct tval *out);
/* TVAL_DATA as a TVAL_MAP; others as they are. */
struct tval tval_expand(struct template_run *r, const struct tval *v);
size_t tval_len(struct template_run *r, const struct tval *v);
/* spf13/cast as sprig uses it: what does not convert is 0. */
int64_t tval_to_int(const struct tval *v);
double tval_to_float(const struct tval *v);
/* sprig's strval: strings as they are, the rest as %v. */
struct str tval_to_str(struct template_run *r, const struct tval *v);
/* A string built in a buffer, moved to the run's arena; frees the buffer. */
struct tval tval_take(struct template_run *r, struct buf *b);
struct tval tval_list(struct template_run *r, const struct tval *v, size_t n); /* copies */

/* ---- tables of functions, sorted by name ---- */

extern const struct template_func template_builtins[];
extern const size_t template_n_builtins;
/* and, or: the run evaluates their arguments itself. */
bool template_short_circuits(const struct template_func *fn, bool *stop_when);

#define TEMPLATE_FN(name)                                                                                              \
	bool name(struct template_run *r, const struct tval *argv, size_t argc, struct tval *out, struct err *e)

#endif
