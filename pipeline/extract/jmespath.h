/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jmespath: the query language for JSON (https://jmespath.org/specification.html), as go-jmespath reads it.
 *
 * A compiled expression is immutable and may be shared between threads. A search walks a tree (jval) and makes its
 * results in the caller's arena; they borrow from the tree, the expression and the arena. Expressions are bounded in
 * depth (JMESPATH_DEPTH), searches in steps (JMESPATH_STEPS), which bounds memory too. Values of an object come in the
 * text's order. Compilation errors are go-jmespath's: "SyntaxError: Incomplete expression". */
#ifndef LARCH_PIPELINE_EXTRACT_JMESPATH_H
#define LARCH_PIPELINE_EXTRACT_JMESPATH_H

#include "pipeline/extract/jval.h"

#define JMESPATH_DEPTH 128
#define JMESPATH_STEPS 100000

struct jmespath;

struct jmespath *jmespath_compile(struct str expr, struct err *e);
void jmespath_free(struct jmespath *j);
/* NULL: a function was called with what it does not take, or the search was too long. */
const struct jval *jmespath_search(const struct jmespath *j, const struct jval *root, struct arena *a, struct err *e);
/* Is the expression nothing but a.b.c? Then these are its names, and no tree needs to be built. */
bool jmespath_is_path(const struct jmespath *j, const struct str **names, size_t *n);

#endif
