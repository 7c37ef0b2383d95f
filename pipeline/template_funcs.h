/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template_funcs: declares every function that template_funcs.def names. Private to pipeline/template. */
#ifndef LARCH_PIPELINE_TEMPLATE_FUNCS_H
#define LARCH_PIPELINE_TEMPLATE_FUNCS_H

#include "pipeline/template_impl.h"

/* Several names may share a function; repeated declarations do no harm. */
#define TEMPLATE_BOTH(name, args, fn)  TEMPLATE_FN(fn);
#define TEMPLATE_LOGQL(name, args, fn) TEMPLATE_FN(fn);
#define TEMPLATE_AGENT(name, args, fn) TEMPLATE_FN(fn);
#include "pipeline/template_funcs.def"

/* The expression given as an argument: compiled with the template when it is a constant, else now. Release what
 * template_regex_get() returns with regex_free(). */
struct regex *template_regex_get(struct template_run *r, struct str pattern, struct err *e);

#endif
