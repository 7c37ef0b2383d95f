/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segment_verify.h"

#include "server/store/columns.h"
#include "server/store/dedup.h"
#include "server/store/segment_filter.h"

#include <stdlib.h>

struct sum { /* of a stream's label pairs, in any order */
	uint64_t pairs, hash;
};

struct verify {
	struct segment *s;
	const struct segment_verify_opts *o;
	uint64_t faults;
	struct segment_root *root;
	struct segment_blocks *blocks;
	struct sum *sums; /* by stream: of its page, less those of postings */
	struct columns cols;
	struct dedup seen;
	/* the stream before */
	struct arena before_arena;
	struct labels before;
	/* what the streams have */
	uint64_t bytes;
};

static void fault(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct verify *v, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	v->faults++;
	v->o->fault(v->o->ud, buf_cstr(&b));
	buf_free(&b);
}

/* What a read failed with. */
static bool failed(struct verify *v, struct err *e)
{
	fault(v, "%s", e->msg);
	*e = ERR_INIT;
	return false;
}

static uint64_t pair_hash(struct str name, struct str value)
{
	return str_hash(name) * UINT64_C(0x9E3779B97F4A7C15) ^ str_hash(value);
}

/* ---- granules and frames ---- */

static void check_times(struct verify *v, uint32_t g)
{
	struct err e = ERR_INIT;
	const struct segment_granule *gr = &v->blocks->granules[g];
	struct segment_times *t = segment_times(v->s, v->blocks, g, &e);
	if (!t) {
		failed(v, &e);
		return;
	}
	int64_t min = INT64_MAX, max = INT64_MIN;
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->v[i] < min) min = t->v[i];
		if (t->v[i] > max) max = t->v[i];
	}
	if (min != gr->min_ts || max != gr->max_ts) fault(v, "granule %u: its times are not those of its rows", g);
	segment_release(v->s, t);
}

/* Adds the bytes of the granule's lines to *pos. */
static void check_lens(struct verify *v, uint32_t g, uint64_t *pos)
{
	struct err e = ERR_INIT;
	if (v->blocks->granules[g].pos != *pos)
		fault(v, "granule %u: its first line is not where the one before ends", g);
	struct segment_lens *l = segment_lens(v->s, v->blocks, g, &e);
	if (!l) {
		failed(v, &e);
		return;
	}
	for (uint32_t i = 0; i < l->n; i++) *pos += l->len[i];
	segment_release(v->s, l);
}

static bool names_ascend(const struct labels *l)
{
	for (size_t i = 1; i < l->n; i++)
		if (str_cmp(l->v[i - 1].name, l->v[i].name) >= 0) return false;
	return true;
}

static void check_metas(struct verify *v, uint32_t g)
{
	struct err e = ERR_INIT;
	struct segment_metas *m = segment_metas(v->s, v->blocks, g, &e);
	if (!m) {
		failed(v, &e);
		return;
	}
	bool ok = true;
	for (uint32_t i = 0; i < m->n; i++) ok = ok && names_ascend(m->v[i]);
	if (!ok) fault(v, "granule %u: a row has a name of metadata twice", g);
	segment_release(v->s, m);
}

static void check_frame(struct verify *v, uint32_t f)
{
	struct err e = ERR_INIT;
	const struct segment_frame *fr = &v->blocks->frames[f];
	struct segment_lines *l = segment_lines(v->s, v->blocks, f, &e);
	struct segment_filter *have = fr->filter.len ? segment_filter(v->s, v->blocks, f, &e) : NULL;
	struct buf want = {0};
	if (e.code) failed(v, &e);
	if (l && have) {
		segment_filter_build(buf_view(&l->raw), &want);
		if (!str_eq(buf_view(&want), buf_view(&have->raw)))
			fault(v, "frame %u: its filter is not that of its lines", f);
	}
	buf_free(&want);
	segment_release(v->s, l);
	segment_release(v->s, have);
}

static void check_blocks(struct verify *v)
{
	const struct segment_blocks *d = v->blocks;
	for (uint32_t i = 0; i < d->nblocks; i++) {
		const struct segment_block *b = &d->blocks[i];
		uint32_t end = i + 1 < d->nblocks ? d->blocks[i + 1].first_granule : d->ngranules;
		uint64_t lens = 0, frames = 0, before = v->faults;
		for (uint32_t g = b->first_granule; g < end; g++) {
			check_times(v, g);
			check_lens(v, g, &lens);
			check_metas(v, g);
		}
		for (uint32_t f = b->first_frame; f < b->first_frame + b->nframes; f++) {
			check_frame(v, f);
			frames += d->frames[f].part.raw;
		}
		if (v->faults == before && lens != frames) fault(v, "block %u: lengths and frames do not agree", i);
		if (v->o->progress) v->o->progress(v->o->ud, (b->first_row + (uint64_t)b->rows) / 2, d->rows);
	}
}

/* ---- streams and their rows ---- */

/* The first row behind the part that could not be read: a granule, or a frame. */
static uint32_t behind(const struct verify *v, uint32_t row, bool line)
{
	uint32_t first;
	segment_granule_of(v->blocks, row, &first);
	uint32_t granule = first + SEGMENT_GRANULE;
	if (!line) return granule;
	const struct segment_frame *f = &v->blocks->frames[segment_frame_of(v->blocks, row)];
	return f->first_row + f->rows < granule ? f->first_row + f->rows : granule;
}

/* One row after the one before at *ts. */
static void check_row(struct verify *v, const struct segment_stream *st, uint32_t row, int64_t *ts, struct str line,
		      const struct labels *meta, int64_t at)
{
	if (row > st->first_row && at < *ts) fault(v, "row %u is older than the row before", row);
	if (row == st->first_row || at != *ts) dedup_clear(&v->seen);
	if (!dedup_add(&v->seen, dedup_key(line, meta))) fault(v, "row %u is a copy of one before", row);
	*ts = at;
}

static void check_rows(struct verify *v, uint32_t number, const struct segment_stream *st)
{
	uint64_t bytes = 0;
	int64_t min = INT64_MAX, max = INT64_MIN, before = 0;
	bool lost = false; /* what cannot be read was told of with the blocks */
	for (uint32_t row = st->first_row, next; row < st->first_row + st->rows; row = next) {
		struct err e = ERR_INIT;
		struct str line;
		const struct labels *meta;
		next = row + 1;
		const int64_t *ts = columns_ts(&v->cols, row, &e);
		if (!ts || !(meta = columns_meta(&v->cols, row, &e))) {
			next = behind(v, row, false);
			lost = true;
			continue;
		}
		if (!columns_line(&v->cols, row, &line, &e)) {
			next = behind(v, row, true);
			lost = true;
			continue;
		}
		check_row(v, st, row, &before, line, meta, *ts);
		bytes += line.n;
		if (*ts < min) min = *ts;
		if (*ts > max) max = *ts;
	}
	v->bytes += st->bytes;
	if (lost) return;
	if (min != st->min_ts || max != st->max_ts) fault(v, "stream %u: its times are not those of its rows", number);
	if (bytes != st->bytes) fault(v, "stream %u: its bytes are not those of its lines", number);
}

static void check_stream(struct verify *v, const struct segment_page *p, uint32_t i)
{
	struct segment_stream st = segment_stream_get(p, i);
	struct label *pairs = mem_alloc((st.npairs + 1) * sizeof *pairs);
	struct labels l = {pairs, st.npairs};
	segment_labels(p, &st, pairs);
	if (!names_ascend(&l)) fault(v, "stream %u: its labels are not sorted, or one is there twice", i);
	if (labels_hash(&l) != st.hash) fault(v, "stream %u: its hash is not that of its labels", i);
	if (i && labels_cmp(&v->before, &l) >= 0) fault(v, "stream %u does not come after the one before", i);
	const struct segment_page_ref *ref = &v->root->pages[segment_page_of(v->root, i)];
	if (i == p->first && v->root->version > 1 && !labels_eq(&l, &ref->first))
		fault(v, "stream %u: the root names another as its page's first", i);
	if (st.min_ts < ref->min_ts || st.max_ts > ref->max_ts)
		fault(v, "stream %u: its times are outside of its page's", i);
	for (size_t k = 0; k < l.n; k++) {
		v->sums[i].pairs++;
		v->sums[i].hash += pair_hash(l.v[k].name, l.v[k].value);
	}
	arena_reset(&v->before_arena);
	v->before = labels_copy(&v->before_arena, &l);
	free(pairs);
	if (v->blocks) check_rows(v, i, &st);
}

static void check_streams(struct verify *v)
{
	for (uint32_t k = 0; k < v->root->npages; k++) {
		struct err e = ERR_INIT;
		struct segment_page *p = segment_page(v->s, v->root, k, &e);
		if (!p) {
			failed(v, &e);
			continue;
		}
		for (uint32_t i = p->first; i < p->first + p->n; i++) {
			check_stream(v, p, i);
			if (v->o->progress && i % 64 == 0)
				v->o->progress(v->o->ud, (v->root->rows + segment_stream_get(p, i).first_row) / 2,
					       v->root->rows);
		}
		segment_release(v->s, p);
	}
}

/* ---- postings ---- */

struct posting_walk {
	struct verify *v;
	struct str name;
	struct buf before; /* the value before */
	bool first;
};

static void take_run(void *ud, struct str value, uint32_t first, uint32_t n)
{
	struct posting_walk *w = ud;
	uint64_t hash = pair_hash(w->name, value);
	int order = w->first ? -1 : str_cmp(buf_view(&w->before), value);
	if (order > 0)
		fault(w->v, "postings of %.*s: value \"%.*s\" is out of order", STR_ARG(w->name), STR_ARG(value));
	w->first = false;
	if (order != 0) {
		buf_clear(&w->before);
		buf_str(&w->before, value);
	}
	for (uint32_t i = first; i < first + n; i++) {
		w->v->sums[i].pairs--;
		w->v->sums[i].hash -= hash;
	}
}

/* Streams and postings have the same pairs: what is left of the sums is nothing. */
static void check_postings(struct verify *v)
{
	uint64_t faults = v->faults;
	if (v->root->version == 1) return;
	for (uint32_t i = 0; i < v->root->nnames; i++) {
		struct posting_walk w = {.v = v, .name = v->root->names[i].name, .first = true};
		struct err e = ERR_INIT;
		if (i && str_cmp(v->root->names[i - 1].name, w.name) >= 0)
			fault(v, "the name %.*s is out of order in the root", STR_ARG(w.name));
		if (!segment_values(v->s, v->root, i, take_run, &w, &e)) failed(v, &e);
		buf_free(&w.before);
	}
	if (v->faults != faults) return;
	for (uint32_t i = 0; i < v->root->nstreams; i++) {
		if (v->sums[i].pairs || v->sums[i].hash) fault(v, "stream %u: postings do not have its labels", i);
	}
}

static void check_header(struct verify *v)
{
	struct err e = ERR_INIT;
	struct buf have = {0}, want = {0};
	buf_add(&want, segment_magic, 8);
	buf_le32(&want, v->root->version);
	buf_le32(&want, 0);
	if (!object_get(v->s->objects, str_c(v->s->name), 0, SEGMENT_HEADER, &have, &e))
		failed(v, &e);
	else if (!str_eq(buf_view(&have), buf_view(&want)))
		fault(v, "the header is damaged");
	buf_free(&have);
	buf_free(&want);
}

static void check_all(struct verify *v)
{
	struct err e = ERR_INIT;
	check_header(v);
	v->blocks = segment_blocks(v->s, v->root, &e);
	v->sums = mem_zalloc(((size_t)v->root->nstreams + 1) * sizeof *v->sums);
	v->cols = (struct columns){.seg = v->s, .blocks = v->blocks};
	arena_init(&v->before_arena, 0);
	if (v->blocks)
		check_blocks(v);
	else
		failed(v, &e);
	uint64_t faults = v->faults;
	check_streams(v);
	if (v->faults == faults) check_postings(v);
	if (v->faults == faults && v->bytes != v->root->bytes)
		fault(v, "the root's bytes of lines are not those of its streams");
	columns_release(&v->cols);
	dedup_free(&v->seen);
	arena_free(&v->before_arena);
	free(v->sums);
	segment_release(v->s, v->blocks);
}

uint64_t segment_verify(struct segment *s, const struct segment_verify_opts *o)
{
	struct verify v = {.s = s, .o = o};
	struct err e = ERR_INIT;
	v.root = segment_root(s, &e);
	if (!v.root) {
		failed(&v, &e);
		return v.faults;
	}
	check_all(&v);
	segment_release(s, v.root);
	return v.faults;
}
