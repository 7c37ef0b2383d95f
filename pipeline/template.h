/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template: Go's text/template language (https://pkg.go.dev/text/template), for LogQL's line_format and label_format
 * and the agent's template and replace stages.
 *
 * template_compile() parses, checks function names and splits the text into segments; a template is immutable
 * afterwards and shared between threads. template_run() appends to `out`; on failure what was appended is taken
 * back. Values are small tagged unions whose text borrows from the data, the template, or the run's arena.
 * Text of nothing but literals and {{.field}} (the common case) costs one lookup and one copy per field.
 * A run is bounded: TEMPLATE_MAX_OUTPUT bytes of output, TEMPLATE_MAX_STEPS evaluated nodes, TEMPLATE_MAX_MEMORY
 * bytes of temporary values, TEMPLATE_MAX_DEPTH nested templates. Error texts are Go's ("template: line:1:3: executing
 * \"line\" at <…>: …"). */
#ifndef LARCH_PIPELINE_TEMPLATE_H
#define LARCH_PIPELINE_TEMPLATE_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

#define TEMPLATE_MAX_OUTPUT (1 << 20)
#define TEMPLATE_MAX_STEPS  100000
#define TEMPLATE_MAX_MEMORY (8 << 20) /* of the arena, in one run */
#define TEMPLATE_MAX_DEPTH  100

enum tval_kind {
	TVAL_NIL,
	TVAL_STR,
	TVAL_INT,
	TVAL_FLOAT,
	TVAL_BOOL,
	TVAL_TIME, /* num is ns since the epoch; printed in UTC */
	TVAL_LIST,
	TVAL_MAP,
	TVAL_DATA /* the dot a run starts with: a map of which only the vtable knows the members */
};

struct tval {
	enum tval_kind kind;
	union {
		struct str s;
		int64_t num; /* INT, TIME */
		double f;
		bool b;
		const struct tval_list *list;
		const struct tval_map *map;
	};
};

struct tval_list {
	struct tval *v;
	size_t n;
};
struct tval_map { /* sorted by key, keys unique */
	struct str *keys;
	struct tval *v;
	size_t n;
};

/* What a run reads. Slices handed out live at least as long as the run's output is being made. */
struct template_data {
	void *ud;
	/* A member of the dot. False: no such member; then the value is what the function set's `missing` says. */
	bool (*get)(void *ud, struct str name, struct tval *out);
	/* All members in byte order of their names, appended to keys and values (for range, len and printing of the
	 * whole dot). */
	struct tval_map (*all)(void *ud, struct arena *a);
	struct str line; /* __line__ */
	int64_t ts;      /* __timestamp__, ns */
};

/* A function of templates. `args` has a letter for each parameter: s string, i int, f float, b bool, t time, m map, l
 * list, a anything (NIL too); a "*" behind the last: any number of it. fn gets arguments that have been checked and
 * converted accordingly. Its errors are plain texts; the run puts place and name in front. */
struct template_run;
struct template_func {
	const char *name;
	const char *args;
	bool (*fn)(struct template_run *r, const struct tval *argv, size_t argc, struct tval *out, struct err *e);
};

struct template_funcs {
	const struct template_func *v; /* besides Go's builtins; sorted by name */
	size_t n;
	bool missing_is_empty; /* {{.nope}} is "" (LogQL), else "<no value>" (agent) */
};
const struct template_funcs *template_funcs_logql(void);
const struct template_funcs *template_funcs_agent(void);

struct template;

/* name is what errors call the template ("line", "pipeline_template"). Text and name are copied. */
struct template *template_compile(struct str text, const char *name, const struct template_funcs *funcs, struct err *e);
void template_free(struct template *t);

/* Appends the result to out. Temporary values and list members come from a. */
bool template_run(const struct template *t, const struct template_data *d, struct buf *out, struct arena *a,
		  struct err *e);

/* The members of the dot that a run may read, each name once. False: any (the dot is used as a whole). */
bool template_fields(const struct template *t, const struct str **names, size_t *n);
bool template_uses_line(const struct template *t); /* __line__ */

#endif
