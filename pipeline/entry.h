/* SPDX-License-Identifier: GPL-2.0-or-later */
/* entry: one line on its way through the agent's pipeline, and the batch it travels in.
 *
 * A batch is the unit of work: what one read of one source gave. Everything an entry points at borrows
 * from the batch's arena, from the source's read buffer, or from configuration, and is valid until the
 * batch is done; a stage that keeps an entry for later copies it (entry_copy). Labels and metadata are
 * copy-on-write: entries of a batch share the target's label set until a stage changes one.
 * One thread: the agent's loop. */
#ifndef LARCH_PIPELINE_ENTRY_H
#define LARCH_PIPELINE_ENTRY_H

#include "common/arena.h"
#include "common/labels.h"

/* Where an entry came from: the source's bookkeeping and the row's number there. Joined entries (multiline,
 * cri partials) have one origin per row, and what is divided (split_json) leaves each part with all of them. Opaque to
 * the pipeline, which only keeps, joins and reports them. */
struct origin {
	void *src;
	uint64_t seq;
};

enum value_kind { VALUE_STR, VALUE_NUM, VALUE_BOOL, VALUE_NULL, VALUE_GONE /* unset: hides the initial label */ };
struct value {
	enum value_kind kind;
	struct str s; /* VALUE_STR; VALUE_NUM: its text if it is known, and then num is not */
	double num;   /* VALUE_NUM; VALUE_BOOL: 0 or 1 */
};
struct field {
	struct str name;
	struct value value;
};

struct entry {
	int64_t ts;      /* ns */
	int64_t read_ts; /* ns: when the line was read, the same when it is read again; 0: unknown */
	struct str line;
	struct labels labels;    /* sorted; shared until labels_own */
	struct labels meta;      /* structured metadata, in order of attachment */
	struct labels initial;   /* labels at pipeline start: what `extracted` holds before any stage wrote */
	struct field *extracted; /* written by stages; a name not here is looked up in `initial` */
	struct origin *origins;
	uint32_t nextracted, cap_extracted, norigins, cap_origins; /* caps: room in the arena, 0 if borrowed */
	bool labels_own, meta_own;
	bool dropped; /* set by entry_drop */
};

struct batch {
	struct arena *arena; /* reset when the batch is done */
	struct entry *v;
	size_t n, cap; /* dropped entries stay in place until batch_compact */
};

struct entry *batch_push(struct batch *b);                    /* zeroed; may move v */
void batch_compact(struct batch *b);                          /* removes dropped entries, keeps order */
void batch_append(struct batch *b, const struct batch *from); /* entries of the same arena */
/* At the start of a pipeline (nested: true, of a nested one): labels become extracted values. Nested ones
 * overwrite what earlier stages extracted under their names. */
void entry_begin(struct batch *b, struct entry *e, bool nested);

/* Labels of one entry. The value and name must live as long as the batch. */
void entry_label_set(struct batch *b, struct entry *e, struct str name, struct str value);
bool entry_label_del(struct batch *b, struct entry *e, struct str name);
void entry_meta_add(struct batch *b, struct entry *e, struct str name, struct str value);
void entry_meta_set(struct batch *b, struct entry *e, struct str name, struct str value); /* replaces the first */
void entry_meta_del(struct batch *b, struct entry *e, struct str name);                   /* all of that name */
/* The extracted map: NULL when the name is absent. */
const struct value *entry_get(const struct entry *e, struct str name, struct value *scratch);
void entry_set(struct batch *b, struct entry *e, struct str name, struct value v);
void entry_unset(struct batch *b, struct entry *e, struct str name);
/* Text form of a value (floats shortest, no exponent; bools true/false); false for null. Borrows or uses the arena. */
bool value_text(struct arena *a, const struct value *v, struct str *out);
/* Number of a value: numbers, bools 1/0, strings as float, else as Go duration in seconds. */
bool value_number(const struct value *v, double *out);

/* Origins move from one entry to another whose line takes the other's in; `from` is dropped without being reported. a
 * is where `to` lives. */
void entry_join(struct arena *a, struct entry *to, struct entry *from);

/* A deep copy for stages that keep entries, in memory of its own. Origins move: after entry_keep the original
 * has none and is dropped without being reported. */
struct kept {
	struct entry e;
	struct arena arena;
};
struct kept *entry_keep(struct entry *e);
void kept_free(struct kept *k); /* may be NULL */
/* Puts a copy into the batch, which takes the origins; k stays. Valid until the batch grows. */
struct entry *kept_emit(struct kept *k, struct batch *b);

#endif
