/* SPDX-License-Identifier: GPL-2.0-or-later */
/* batch: the rows that operators hand on, and the labels of a row while it runs through a pipeline.
 *
 * A row's labels are of three kinds: those of its stream, its structured metadata, and what stages made
 * (parsed). The first two do not change and are shared by rows (struct row_base); a row only holds what it
 * adds and which base names it hides. A name is looked up as parsed, then metadata, then stream label. An error
 * (`__error__`, `__error_details__`) is apart from the labels and reads as one.
 * Rows are dropped by shortening the selection, never by moving rows. All memory is of the batch's arena, the
 * scan's batch and the query, and lives until the next batch. One thread per batch. */
#ifndef LARCH_SERVER_EXEC_BATCH_H
#define LARCH_SERVER_EXEC_BATCH_H

#include "common/arena.h"
#include "common/labels.h"
#include "server/store/reader.h"

#define ROW_ERROR     STR("__error__")
#define ROW_DETAILS   STR("__error_details__")
#define ROW_PRESERVE  STR("__preserve_error__")
#define ROW_EXTRACTED "_extracted" /* behind names that collide with a base label */

enum row_kind { ROW_NONE, ROW_STREAM, ROW_META, ROW_PARSED };

struct row_base {
	const struct reader_stream *stream;
	struct labels labels; /* of the stream; with __tenant_id__ where several tenants are asked */
	const struct label *meta;
	size_t n_meta;
	uint32_t series; /* op_range: 1 + number of the series of rows that no stage has changed; 0: not known */
};

struct row {
	int64_t ts;
	struct str line;
	uint32_t len; /* bytes of the stored line; known without the line as well */
	struct row_base *base;
	struct label *parsed; /* in order of appearance, names unique */
	struct str *hidden;   /* names of base labels that are gone */
	uint32_t n_parsed, cap_parsed, n_hidden, cap_hidden;
	struct str error, details; /* n == 0: none */
};

struct exec_batch {
	struct arena *arena;
	struct row *rows; /* SCAN_ROWS of them */
	uint16_t *sel;    /* rows that are still in, in order */
	size_t n_sel;
	size_t n_rows;
	bool direct;          /* rows are not filled in: `in` has all, see op_scan_next */
	struct scan_batch in; /* as the reader gave it */
};

/* Sets the base's metadata, under the names that rows show: name_extracted where the stream has the name; twice: under
 * that one as well. */
void row_base_meta(struct arena *a, struct row_base *b, const struct labels *meta, bool twice);

/* What name reads as; "" and ROW_NONE when there is no such label. Knows the error names. */
struct str row_get(const struct row *r, struct str name, enum row_kind *kind);
/* Sets a parsed label, whatever there was under that name. */
void row_set(struct arena *a, struct row *r, struct str name, struct str value);
/* The rule for what a parser found: a name taken by a base label gets "_extracted" behind it, and a
 * label parsed before stays as it is. The name under which the value now is, n == 0 when it is ignored. */
struct str row_put(struct arena *a, struct row *r, struct str name, struct str value);
/* Removes a label of any kind. */
void row_del(struct arena *a, struct row *r, struct str name);
/* Is the name a stream label or metadata that is not hidden? */
bool row_base_has(const struct row *r, struct str name);
/* Have stages changed the labels? */
static inline bool row_changed(const struct row *r) { return r->n_parsed || r->n_hidden || r->error.n || r->details.n; }

/* Visible labels of one kind appended to out (room for row_max(r) in all): the error counts as parsed. */
size_t row_labels(const struct row *r, enum row_kind kind, struct label *out);
/* All of them, sorted by name. In the batch's arena. */
struct labels row_all(struct arena *a, const struct row *r);
static inline size_t row_max(const struct row *r) { return r->base->labels.n + r->base->n_meta + r->n_parsed + 2; }

#endif
