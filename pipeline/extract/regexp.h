/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/regexp: LogQL's `| regexp "…(?P<name>…)"`: named groups of the first match become labels. No match: nothing,
 * and no error. A group that took no part is "". Immutable, shared between threads. */
#ifndef LARCH_PIPELINE_EXTRACT_REGEXP_H
#define LARCH_PIPELINE_EXTRACT_REGEXP_H

#include "common/err.h"
#include "pipeline/extract/extract.h"

struct extract_re;

/* Errors: "error parsing regexp: …", "at least one named capture must be supplied",
 * "invalid extracted label name 'x'", "duplicate extracted label name 'x'". */
struct extract_re *extract_re_new(struct str pattern, struct err *e);
void extract_re_free(struct extract_re *r);
void extract_regexp(const struct extract_re *r, struct str line, struct extract *x);

#endif
