/* SPDX-License-Identifier: GPL-2.0-or-later */
/* level: the `detected_level` of an entry (spec push-protocol §4, detected_level).
 *
 * The first source that yields something wins: metadata detected_level, a stream label or metadata under one of
 * log_level_fields, metadata severity_number (OTLP), such a field in the line (JSON or logfmt), the first whole word of the line that is a
 * level, else "unknown". Pure; any thread; one pass over the line, no allocation but for escaped JSON keys. */
#ifndef LARCH_SERVER_DISTRIBUTOR_LEVEL_H
#define LARCH_SERVER_DISTRIBUTOR_LEVEL_H

#include "common/labels.h"
#include "server/limits.h"

/* The level that labels alone decide, or STR_NULL. Once per stream. */
struct str level_of_labels(const struct limits *l, const struct labels *labels);
/* The level of one entry; from_labels is what level_of_labels() said. Borrows from the arguments or is static. */
struct str level_detect(const struct limits *l, struct str from_labels, const struct labels *meta, struct str line,
                        struct arena *a);

#endif
