/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/compact_merge.h"

#include "server/store/columns.h"
#include "server/store/dedup.h"

#include <stdlib.h>

#define STEP_BYTES (1u << 20) /* of lines between two calls of opts.step */
#define ROW_COST   32         /* what a row counts for besides its line */
#define SET_SLOTS  (2 * SEGMENT_GRANULE)

struct input {
	size_t number;
	struct segment_view view;
	struct columns cols;
	uint32_t stream; /* the one that is next, or under way */
	struct segment_stream st;
	struct labels labels; /* its, borrowing from the view */
	size_t cap_labels;
	uint32_t row, end;
	int64_t ts;              /* of row */
	struct mask_stream mask; /* of the stream under way */
};

/* A metadata set of an input's granule, and its copy that the output's granule borrows from. */
struct set_slot {
	const struct labels *set, *copy;
	size_t input;
	uint32_t granule;
};

struct merge {
	const struct merge_opts *opts;
	struct merge_result *out;
	struct object_store *objects;
	struct str name, tenant;
	struct input *in;
	size_t n;
	struct segwrite *w; /* NULL: no row yet */
	/* the stream under way */
	struct input **members; /* inputs that have it, in arrival order */
	struct input **part;    /* those of them that have rows left */
	size_t nmembers, nparts;
	const struct labels *labels;
	uint64_t hash;
	bool opened;
	int64_t keep_from;
	unsigned reason;
	struct dedup seen;
	uint64_t cost; /* since the last step */
	/* The output's open granule borrows metadata from one arena; rows of the next one go to the other. */
	struct arena sets[2];
	struct set_slot slots[SET_SLOTS];
};

/* ---- inputs ---- */

static bool input_open(struct merge *m, size_t i, const struct segment *s, struct err *e)
{
	struct input *in = &m->in[i];
	in->number = i;
	bool ok = segment_view_open(&in->view, s, e);
	in->cols = (struct columns){.seg = in->view.seg, .blocks = in->view.blocks};
	return ok;
}

static void input_close(struct input *in)
{
	mask_stream_fini(&in->mask);
	columns_release(&in->cols);
	segment_view_close(&in->view);
	free(in->labels.v);
}

static bool input_has_stream(const struct input *in) { return in->stream < in->view.root->nstreams; }

static bool damaged(struct merge *m, const struct input *in, const struct err *e)
{
	if (e->code == ERR_CORRUPT || e->code == ERR_NOT_FOUND) m->out->damaged = in->number;
	return false;
}

static bool input_load_stream(struct merge *m, struct input *in, struct err *e)
{
	if (!input_has_stream(in)) return true;
	if (!segment_view_stream(&in->view, in->stream, &in->st, e)) return damaged(m, in, e);
	if (in->st.npairs > in->cap_labels) {
		in->cap_labels = 2 * (size_t)in->st.npairs;
		in->labels.v = mem_realloc(in->labels.v, in->cap_labels * sizeof *in->labels.v);
	}
	in->labels.n = in->st.npairs;
	segment_labels(in->view.page, &in->st, in->labels.v);
	return true;
}

static bool input_seek(struct merge *m, struct input *in, uint32_t row, struct err *e)
{
	in->row = row;
	if (row >= in->end) return true;
	const int64_t *ts = columns_ts(&in->cols, row, e);
	if (!ts) return damaged(m, in, e);
	in->ts = *ts;
	return true;
}

/* ---- the output ---- */

/* The set as the output may borrow it: the input's granule may be gone before the output's is written. */
static const struct labels *set_copy(struct merge *m, const struct input *in, const struct labels *set)
{
	size_t h = ((uintptr_t)set * UINT64_C(0x9E3779B97F4A7C15) >> 40) & (SET_SLOTS - 1);
	uint32_t granule = in->cols.metas_granule;
	for (; m->slots[h].set; h = (h + 1) & (SET_SLOTS - 1)) {
		const struct set_slot *s = &m->slots[h];
		if (s->set == set && s->input == in->number && s->granule == granule) return s->copy;
	}
	struct arena *a = &m->sets[m->out->out.rows / SEGMENT_GRANULE & 1];
	struct labels *copy = arena_alloc(a, sizeof *copy);
	*copy = labels_copy(a, set);
	m->slots[h] = (struct set_slot){set, copy, in->number, granule};
	return copy;
}

static bool put_row(struct merge *m, struct input *in, struct str line, const struct labels *meta, struct err *e)
{
	uint64_t row = m->out->out.rows; /* counted here; the rest of it comes from segwrite_finish() */
	if (!m->w && !(m->w = segwrite_new(m->objects, m->name, m->tenant, m->opts->level, e))) return false;
	if (!m->opened && !segwrite_stream(m->w, m->labels, m->hash, e)) return false;
	m->opened = true;
	bool first = row % SEGMENT_GRANULE == 0;
	if (first) memset(m->slots, 0, sizeof m->slots);
	if (!segwrite_row(m->w, in->ts, line, meta->n ? set_copy(m, in, meta) : meta, e)) return false;
	if (first) arena_reset(&m->sets[(row / SEGMENT_GRANULE + 1) & 1]); /* the granule before is written */
	m->out->out.rows++;
	return true;
}

static bool expire_row(struct merge *m, struct input *in, struct err *e)
{
	struct merge_expired *x = &m->out->expired[m->reason];
	uint32_t len;
	if (!columns_len(&in->cols, in->row, &len, e)) return damaged(m, in, e);
	if (x->rows++ == 0) x->min_ts = x->max_ts = in->ts;
	if (in->ts < x->min_ts) x->min_ts = in->ts;
	if (in->ts > x->max_ts) x->max_ts = in->ts;
	x->bytes += len;
	return true;
}

static bool step(struct merge *m, uint64_t cost, struct err *e)
{
	m->cost += cost;
	if (m->cost < STEP_BYTES) return true;
	m->cost = 0;
	return !m->opts->step || m->opts->step(m->opts->ud, e);
}

/* A row that is not expired: hidden, a copy, or written. */
static bool sort_row(struct merge *m, struct input *in, bool may_be_copy, size_t *bytes, struct err *e)
{
	enum mask_verdict verdict = in->mask.n ? mask_time(&in->mask, in->ts) : MASK_SHOWN;
	struct str line;
	if (verdict == MASK_HIDDEN) {
		m->out->hidden++;
		return true;
	}
	const struct labels *meta = columns_meta(&in->cols, in->row, e);
	if (!meta || !columns_line(&in->cols, in->row, &line, e)) return damaged(m, in, e);
	*bytes = line.n;
	if (verdict == MASK_BY_LINE && mask_hides(&in->mask, in->ts, line, meta)) {
		m->out->hidden++;
		return true;
	}
	if (may_be_copy && !dedup_add(&m->seen, dedup_key(line, meta))) {
		m->out->copies++;
		return true;
	}
	return put_row(m, in, line, meta, e);
}

/* The input's row; then the next is the input's row. */
static bool take_row(struct merge *m, struct input *in, bool may_be_copy, struct err *e)
{
	size_t bytes = 0;
	bool ok = in->ts < m->keep_from ? expire_row(m, in, e) : sort_row(m, in, may_be_copy, &bytes, e);
	m->out->rows++;
	return ok && step(m, bytes + ROW_COST, e) && input_seek(m, in, in->row + 1, e);
}

/* ---- merging ---- */

/* The inputs that have the least label set of those that are next. False: all are through. */
static bool next_stream(struct merge *m)
{
	m->nmembers = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct input *in = &m->in[i];
		if (!input_has_stream(in)) continue;
		int order = m->nmembers ? labels_cmp(&in->labels, &m->members[0]->labels) : 0;
		if (order > 0) continue;
		if (order < 0) m->nmembers = 0;
		m->members[m->nmembers++] = in;
	}
	return m->nmembers > 0;
}

static void drop_ended(struct merge *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->nparts; i++) {
		if (m->part[i]->row < m->part[i]->end) m->part[n++] = m->part[i];
	}
	m->nparts = n;
}

/* Rows with the least timestamp: from one input, up to where another has a row; or one timestamp's rows from several,
 * where copies may be. An input has none among its own. */
static bool merge_rows(struct merge *m, struct err *e)
{
	struct input *least = m->part[0];
	int64_t others = INT64_MAX;
	for (size_t i = 1; i < m->nparts; i++) {
		struct input *in = m->part[i];
		if (in->ts < least->ts) {
			others = least->ts;
			least = in;
		} else if (in->ts < others) {
			others = in->ts;
		}
	}
	if (m->nparts == 1 || least->ts < others) {
		while (least->row < least->end && (m->nparts == 1 || least->ts < others)) {
			if (!take_row(m, least, false, e)) return false;
		}
		return true;
	}
	int64_t ts = least->ts;
	dedup_clear(&m->seen);
	for (size_t i = 0; i < m->nparts; i++) {
		struct input *in = m->part[i];
		while (in->row < in->end && in->ts == ts) {
			if (!take_row(m, in, true, e)) return false;
		}
	}
	return true;
}

static bool merge_stream(struct merge *m, struct err *e)
{
	const struct input *first = m->members[0];
	m->labels = &first->labels;
	m->hash = first->st.hash;
	m->opened = false;
	m->reason = 0;
	m->keep_from = m->opts->keep_from ? m->opts->keep_from(m->opts->ud, m->labels, &m->reason) : INT64_MIN;
	m->nparts = m->nmembers;
	for (size_t i = 0; i < m->nmembers; i++) {
		struct input *in = m->part[i] = m->members[i];
		const struct segment_stream *st = &in->st;
		in->end = st->first_row + st->rows;
		mask_stream_fini(&in->mask);
		if (m->opts->masks)
			mask_stream_init(&in->mask, m->opts->masks[in->number], m->labels, st->min_ts, st->max_ts);
		if (!input_seek(m, in, st->first_row, e)) return false;
	}
	for (; m->nparts; drop_ended(m)) {
		if (!merge_rows(m, e)) return false;
	}
	for (size_t i = 0; i < m->nmembers; i++) {
		m->members[i]->stream++;
		if (!input_load_stream(m, m->members[i], e)) return false;
	}
	return true;
}

static int by_range(const void *a, const void *b)
{
	const struct wal_range *x = a, *y = b;
	if (x->writer != y->writer) return x->writer < y->writer ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* What all inputs cover, ranges that touch joined. */
static struct wal_range *covers(const struct merge *m, size_t *n)
{
	struct wal_range *v = NULL;
	size_t all = 0, cap = 0, k = 0;
	for (size_t i = 0; i < m->n; i++) {
		for (uint32_t c = 0; c < m->in[i].view.root->ncovers; c++) {
			MEM_GROW(v, all, cap);
			v[all++] = m->in[i].view.root->covers[c];
		}
	}
	if (all) qsort(v, all, sizeof *v, by_range);
	for (size_t i = 0; i < all; i++) {
		if (k && v[k - 1].writer == v[i].writer && v[i].lo <= v[k - 1].hi) {
			if (v[i].hi > v[k - 1].hi) v[k - 1].hi = v[i].hi;
		} else {
			v[k++] = v[i];
		}
	}
	*n = k;
	return v;
}

static bool finish(struct merge *m, struct err *e)
{
	if (!m->w) return true;
	size_t n;
	struct wal_range *v = covers(m, &n);
	bool ok = segwrite_finish(m->w, v, n, &m->out->out, e);
	m->w = NULL;
	free(v);
	return ok;
}

static bool run(struct merge *m, struct segment *const *in, struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!input_open(m, i, in[i], e)) return damaged(m, &m->in[i], e);
		if (!input_load_stream(m, &m->in[i], e)) return false;
	}
	while (next_stream(m)) {
		if (!merge_stream(m, e) || !step(m, ROW_COST, e)) return false;
	}
	return finish(m, e);
}

bool merge_segments(struct object_store *o, struct segment *const *in, size_t n, struct str name, struct str tenant,
		    const struct merge_opts *opts, struct merge_result *out, struct err *e)
{
	struct merge *m = mem_zalloc(sizeof *m);
	*out = (struct merge_result){.damaged = n};
	m->opts = opts;
	m->out = out;
	m->objects = o;
	m->name = name;
	m->tenant = tenant;
	m->n = n;
	m->in = mem_zalloc(n * sizeof *m->in);
	m->members = mem_alloc(2 * n * sizeof(struct input *));
	m->part = m->members + n;
	arena_init(&m->sets[0], 0);
	arena_init(&m->sets[1], 0);
	bool ok = run(m, in, e);
	if (m->w) segwrite_abort(m->w);
	for (size_t i = 0; i < n; i++) input_close(&m->in[i]);
	dedup_free(&m->seen);
	arena_free(&m->sets[0]);
	arena_free(&m->sets[1]);
	free(m->in);
	free(m->members);
	free(m);
	return ok;
}
