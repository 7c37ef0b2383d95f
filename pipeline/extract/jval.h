/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jval: a JSON value as a tree, for expressions that need more than one pass over the text.
 *
 * Trees are immutable and live in an arena; strings borrow from the text unless they were escaped. Numbers are doubles,
 * as in Go's encoding/json. Of members with one name the last counts. Depth is bounded by the reader (JSON_DEPTH). */
#ifndef LARCH_PIPELINE_EXTRACT_JVAL_H
#define LARCH_PIPELINE_EXTRACT_JVAL_H

#include "common/arena.h"
#include "common/json.h"

enum jval_kind { JVAL_NULL, JVAL_BOOL, JVAL_NUM, JVAL_STR, JVAL_ARR, JVAL_OBJ };

struct jmember;
struct jval {
	enum jval_kind kind;
	union {
		bool b;
		double num;
		struct str s;
		struct {
			const struct jval **v;
			size_t n;
		} arr;
		struct {
			struct jmember *v; /* in the text's order */
			size_t n;
		} obj;
	};
};
struct jmember {
	struct str name;
	const struct jval *val;
};

extern const struct jval jval_null, jval_true, jval_false;

/* The whole text. NULL: not JSON, e says where. */
const struct jval *jval_parse(struct arena *a, struct str text, struct err *e);
/* The value whose first token t was just returned. */
const struct jval *jval_read(struct arena *a, struct json *j, enum json_tok t);
const struct jval *jval_get(const struct jval *obj, struct str name); /* NULL: absent, or no object */
const struct jval *jval_str(struct arena *a, struct str s);
const struct jval *jval_num(struct arena *a, double v);
bool jval_eq(const struct jval *a, const struct jval *b); /* members in any order */
/* Compact, with < > & escaped if html, as Go's encoding/json does. */
void jval_print(const struct jval *v, struct json_out *o);

#endif
