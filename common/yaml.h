/* SPDX-License-Identifier: GPL-2.0-or-later */
/* yaml: one YAML 1.1 document → a tree of nodes with line and column, through libyaml.
 *
 * Bounded: text size, depth 64, one million nodes, aliases expand to shared nodes (a bomb of aliases
 * costs nothing; a cycle is refused). Duplicate keys are refused, naming both lines; so are keys that are
 * not scalars, and a second document. Merge keys (<<) are honoured: merged pairs stand behind the map's
 * own, which win. Of tags, !!str makes a plain scalar a string, !!binary is refused and the rest mean
 * nothing. Tree and text live in the arena. JSON is YAML, so the tree serves both. One owner thread. */
#ifndef LARCH_COMMON_YAML_H
#define LARCH_COMMON_YAML_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

#define YAML_TEXT_MAX  (16u << 20)
#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 1000000

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml {
	enum yaml_kind kind;
	int line, col;         /* 1-based */
	struct str text;       /* SCALAR: its value after quoting rules */
	bool plain;            /* SCALAR: written without quotes, so that null, bool and numbers are recognised */
	struct yaml_pair *pairs; /* MAP, in file order */
	struct yaml **items;   /* LIST */
	size_t n;
};

struct yaml_pair { struct yaml *key, *val; };

/* NULL with e->line/col set on failure. An empty document is a null scalar. */
struct yaml *yaml_parse(struct arena *a, struct str text, struct err *e);
struct yaml *yaml_get(const struct yaml *map, const char *key); /* NULL: absent or not a map */
bool yaml_is_null(const struct yaml *n); /* n == NULL, or plain "", ~, null */
bool yaml_bool(const struct yaml *n, bool *out); /* YAML 1.1: true/false/yes/no/on/off/y/n; false: not one */
const char *yaml_kind_name(const struct yaml *n); /* "a string", "a list", "a mapping", "null" */
/* Plain scalar if it reads back as the same string, else double-quoted. */
void yaml_print_str(struct buf *b, struct str s);

#endif
