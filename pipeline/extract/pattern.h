/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/pattern: LogQL's `| pattern "<ip> - <_> [<ts>]"` and the pattern line filters |> !>.
 *
 * Literals and captures alternate; <_> captures nothing under a name. Extraction is anchored at the start and keeps
 * what it got when the line ends too early. A filter's literals must follow each other with something for every <_>
 * between them, up to the end of the line; what precedes a literal at the start is not looked at (Loki's way).
 * Immutable, shared between threads; linear in line times number of literals. */
#ifndef LARCH_PIPELINE_EXTRACT_PATTERN_H
#define LARCH_PIPELINE_EXTRACT_PATTERN_H

#include "common/err.h"
#include "pipeline/extract/extract.h"

struct pattern;

/* Errors in Loki's words: "at least one capture is required",
 * "found consecutive capture '<a><b>': invalid expression", "duplicate capture name (a): invalid expression". */
struct pattern *pattern_new(struct str text, struct err *e);
/* For a line filter: "named captures are not allowed: found '<x>'". */
struct pattern *pattern_new_filter(struct str text, struct err *e);
void pattern_free(struct pattern *p);

void extract_pattern(const struct pattern *p, struct str line, struct extract *x);
bool pattern_match(const struct pattern *p, struct str line);
/* The longest literal of the pattern: every line that pattern_match() takes contains it. n == 0: none. */
struct str pattern_needle(const struct pattern *p);

#endif
