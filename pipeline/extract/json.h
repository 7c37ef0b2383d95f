/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/json: LogQL's `| json`, `| json a="b.c[0]"` and `| unpack`.
 *
 * One pass over the line, no allocation but for escaped strings and joined names. Tolerant as Loki's parser
 * is: what was found before a fault stays, error is JSONParserErr and detail says what was wrong. Depth
 * is bounded (JSON_DEPTH). No state but the caller's; compiled paths are immutable and shared between threads. */
#ifndef LARCH_PIPELINE_EXTRACT_JSON_H
#define LARCH_PIPELINE_EXTRACT_JSON_H

#include "common/err.h"
#include "pipeline/extract/extract.h"

/* Every scalar of the top-level object; nested keys joined by "_"; arrays and null skipped. */
void extract_json(struct str line, struct extract *x);

/* Path expressions: a.b["c d"][0]. Immutable, shared between threads. */
struct json_paths;
/* Error: `cannot parse expression [EXPR]: …`. */
struct json_paths *json_paths_new(const struct extract_expr *exprs, size_t n, struct err *e);
void json_paths_free(struct json_paths *p);
/* Reports every name of the expressions (that is wanted): missing and null are "", strings unescaped,
 * objects and arrays as their raw text. */
void extract_json_paths(const struct json_paths *p, struct str line, struct extract *x);

/* `| unpack`: string members become labels; *entry becomes the value of "_entry". False: there is no
 * _entry, and nothing was reported. Not an object: JSONParserErr and false. */
bool extract_unpack(struct str line, struct extract *x, struct str *entry);

#endif
