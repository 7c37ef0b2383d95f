/* SPDX-License-Identifier: GPL-2.0-or-later */
/* level: the `detected_level` of an entry (spec push-protocol §4, detected_level).
 *
 * The first source that yields something wins: metadata detected_level, a stream label or metadata under one of
 * log_level_fields, metadata severity_number (OTLP), such a field in the line (JSON or logfmt), the first whole word of
 * the line that is a level, else "unknown". Pure; any thread. A line is read as JSON or logfmt only where the name of a
 * field stands where a key would; else it is scanned for words sixteen bytes at a time. No allocation but for values
 * with escapes. */
#ifndef LARCH_SERVER_DISTRIBUTOR_LEVEL_H
#define LARCH_SERVER_DISTRIBUTOR_LEVEL_H

#include "common/labels.h"
#include "server/limits.h"

/* What the tenant's limits say, prepared; once per push. Borrows from the limits. */
struct level_rules {
	const struct conf_strs *fields;
	int64_t json_depth;
	bool ends_field[256]; /* last bytes of the fields' names */
};

void level_rules_init(struct level_rules *r, const struct limits *l);
/* The level that labels alone decide, or STR_NULL. Once per stream. */
struct str level_of_labels(const struct level_rules *r, const struct labels *labels);
/* The level of one entry; from_labels is what level_of_labels() said. Borrows from the arguments or is static. */
struct str level_detect(const struct level_rules *r, struct str from_labels, const struct labels *meta, struct str line,
			struct arena *a);

#endif
