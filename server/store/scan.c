/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scan: rows of a snapshot in order, each entry once (reader.h).
 *
 * For every matching stream a merger joins the cursors of the sources that have it. As long as one cursor's
 * timestamps come before all others', its rows go out in bulk; where several sources have the same timestamp, those
 * rows are gathered in arrival order and copies among them dropped. By time, mergers of all streams stand in a
 * heap; streams, cursors and windows are opened only when the order reaches them. A scan by time goes through its range
 * in spans, few sources at first: who wants the newest lines opens the newest segments only.
 * "Key" is a timestamp in scan direction: backward, it is the complement. */
#include "server/store/dedup.h"
#include "server/store/source.h"

#include <stdlib.h>

#define BATCH_BYTES (4u << 20) /* of lines in a batch, unless one line is longer */

static int64_t key_of(const struct scan *sc, int64_t ts) { return sc->o.forward ? ts : ~ts; }

void scan_damaged(struct scan *sc, const struct err *e) { snapshot_damaged(sc->snap, e); }

bool scan_poll(struct scan *sc)
{
	if (sc->err.code) return false;
	if (sc->o.cancel && atomic_load_explicit(sc->o.cancel, memory_order_relaxed))
		return err_set(&sc->err, ERR_CANCELLED, "the query was cancelled");
	if (sc->o.deadline_mono && clock_mono(&clock_real) > sc->o.deadline_mono)
		return err_set(&sc->err, ERR_TIMEOUT, "the query ran out of time while reading");
	return true;
}

/* ---- opening ---- */

/* First timestamp that the stream can have here, in scan direction. */
static int64_t bound_of(const struct scan *sc, const struct source_stream *st)
{
	if (sc->o.forward) return st->min_ts > sc->o.from ? st->min_ts : sc->o.from;
	return st->max_ts < sc->o.to ? st->max_ts : sc->o.to - 1;
}

struct opening {
	struct scan *sc;
	uint32_t *cand; /* by stream id: 1 + candidate */
	size_t ncand_ids;
};

static struct scan_candidate *candidate(struct opening *w, const struct snapshot_stream *rs)
{
	struct scan *sc = w->sc;
	if (rs->id >= w->ncand_ids) {
		size_t n = 2 * ((size_t)rs->id + 32);
		w->cand = mem_realloc(w->cand, n * sizeof *w->cand);
		memset(w->cand + w->ncand_ids, 0, (n - w->ncand_ids) * sizeof *w->cand);
		w->ncand_ids = n;
	}
	if (!w->cand[rs->id]) {
		MEM_GROW(sc->cands, sc->ncands, sc->cap_cands);
		sc->cands[sc->ncands++] = (struct scan_candidate){.rs = rs, .key = INT64_MAX};
		w->cand[rs->id] = (uint32_t)sc->ncands;
	}
	return &sc->cands[w->cand[rs->id] - 1];
}

static void add_part(void *ud, struct source *src, const struct source_stream *st, struct snapshot_stream *rs)
{
	struct opening *w = ud;
	struct scan *sc = w->sc;
	struct scan_candidate *c = candidate(w, rs);
	int64_t key = key_of(sc, bound_of(sc, st));
	MEM_GROW(sc->refs, sc->nrefs, sc->cap_refs);
	sc->refs[sc->nrefs++] = (struct scan_ref){(uint32_t)(src - sc->snap->src), st->i, 0};
	if (c->last)
		sc->refs[c->last - 1].next = (uint32_t)sc->nrefs;
	else
		c->first = (uint32_t)sc->nrefs;
	c->last = (uint32_t)sc->nrefs;
	c->nparts++;
	if (key < c->key) c->key = key;
}

static void add_only(struct scan *sc)
{
	const struct snapshot_stream *rs = (const struct snapshot_stream *)sc->o.only;
	struct opening w = {.sc = sc};
	for (size_t i = 0; i < sc->nplaces; i++) {
		struct source_stream st = snapshot_place_stream(&sc->places[i]);
		if (!source_stream_overlaps(&st, sc->o.from, sc->o.to)) continue;
		struct scan_candidate *c = candidate(&w, rs);
		int64_t key = key_of(sc, bound_of(sc, &st));
		if (key < c->key) c->key = key;
		c->nparts++;
	}
	free(w.cand);
}

/* At equal times; the same in every snapshot, so that a reader can go on in another one where it stopped. */
static int stream_order(const struct scan *sc, const struct snapshot_stream *a, const struct snapshot_stream *b)
{
	const struct reader_stream *x = &a->pub, *y = &b->pub;
	int c = x->hash < y->hash ? -1 : x->hash > y->hash;
	if (c == 0 && a != b) c = labels_cmp(&x->labels, &y->labels);
	return sc->o.forward ? c : -c;
}

static int by_key(const void *a, const void *b, void *sc)
{
	const struct scan_candidate *x = a, *y = b;
	if (x->key != y->key) return x->key < y->key ? -1 : 1;
	return stream_order(sc, x->rs, y->rs);
}

static bool merger_less(const void *a, const void *b, void *sc)
{
	const struct scan_merger *x = a, *y = b;
	return x->key != y->key ? x->key < y->key : stream_order(sc, x->rs, y->rs) < 0;
}

/* By time every stream that the order has reached has a window open. */
static uint32_t window_for(const struct scan *sc)
{
	if (sc->o.order != SCAN_BY_TIME || sc->ncands <= 16) return SCAN_ROWS;
	return sc->ncands <= 1024 ? 128 : 16;
}

/* The streams in [o.from, o.to). Nothing of what was open before is. */
static void open_range(struct scan *sc)
{
	sc->ncands = sc->next_cand = sc->nrefs = 0;
	if (sc->o.only) {
		add_only(sc);
	} else {
		struct opening w = {.sc = sc};
		snapshot_each(sc->snap, sc->o.matchers, sc->o.nmatchers, sc->o.from, sc->o.to, add_part, &w);
		free(w.cand);
	}
	if (sc->o.order == SCAN_BY_TIME && sc->ncands) qsort_r(sc->cands, sc->ncands, sizeof *sc->cands, by_key, sc);
	sc->window = window_for(sc);
}

/* ---- spans of a scan by time ---- */

#define SPAN_SOURCES 1024 /* that one span begins with, at most */

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Keys of the first row a source can have from sc->at on, and of its last. False: none. */
static bool source_keys(const struct scan *sc, const struct source *src, int64_t *first, int64_t *last)
{
	*first = key_of(sc, sc->o.forward ? src->min_ts : src->max_ts);
	*last = key_of(sc, sc->o.forward ? src->max_ts : src->min_ts);
	if (*first < sc->at) *first = sc->at;
	return *last >= sc->at && *first <= sc->last;
}

/* How many sources are open on both sides of a cut before `key`. */
static size_t straddling(const struct scan *sc, int64_t key)
{
	size_t n = 0;
	int64_t first, last;
	for (size_t i = 0; i < sc->snap->nsrc; i++)
		n += source_keys(sc, &sc->snap->src[i], &first, &last) && first < key && last >= key;
	return n;
}

/* The last key of the next span: so that it begins with sc->span_sources sources or a few more, and few of them have
 * to be opened again in the one behind it. */
static int64_t span_end(const struct scan *sc)
{
	size_t n = 0;
	int64_t end = sc->last, last, *first = mem_alloc((sc->snap->nsrc + 1) * sizeof *first);
	for (size_t i = 0; i < sc->snap->nsrc; i++) n += source_keys(sc, &sc->snap->src[i], &first[n], &last);
	if (n) qsort(first, n, sizeof *first, ascending);
	for (size_t want = sc->span_sources; want < n; want *= 2) {
		if (first[want] == sc->at || straddling(sc, first[want]) > want / 2) continue;
		end = first[want] - 1;
		break;
	}
	free(first);
	return end;
}

/* Opens the next span that has streams; false: the range is through. */
static bool next_span(struct scan *sc)
{
	while (!sc->at_end) {
		int64_t end = span_end(sc), from = key_of(sc, sc->o.forward ? sc->at : end);
		int64_t to = key_of(sc, sc->o.forward ? end : sc->at) + 1;
		sc->at_end = end == sc->last;
		if (!sc->at_end) sc->at = end + 1;
		if (sc->span_sources < SPAN_SOURCES) sc->span_sources *= 2;
		sc->o.from = from;
		sc->o.to = to;
		open_range(sc);
		if (sc->ncands) return true;
	}
	return false;
}

struct scan *scan_open(struct snapshot *s, const struct scan_opts *o, struct err *e)
{
	(void)e; /* what cannot be read is left out and warned of */
	struct scan *sc = mem_zalloc(sizeof *sc);
	sc->snap = s;
	sc->o = *o;
	sc->heap.less = merger_less;
	sc->heap.ud = sc;
	sc->err = ERR_INIT;
	arena_init(&sc->batch, 0);
	sc->target = o->order == SCAN_BY_TIME ? 64 : SCAN_ROWS;
	if (o->filters) {
		sc->barren = mem_zalloc((s->nsrc + 1) * sizeof(uint64_t *));
		sc->needles = segment_needles_new(o->filters);
	}
	sc->at_end = o->from >= o->to;
	if (sc->at_end) return sc;
	if (o->only)
		sc->places = snapshot_places(s, (const struct snapshot_stream *)o->only, o->from, o->to, &sc->nplaces);
	sc->at = key_of(sc, o->forward ? o->from : o->to - 1);
	sc->last = key_of(sc, o->forward ? o->to - 1 : o->from);
	sc->span_sources = 1;
	if (o->order == SCAN_BY_STREAM) open_range(sc);
	return sc;
}

/* ---- cursors ---- */

static void cursor_free(struct cursor *c)
{
	if (!c) return;
	c->src->ops->stop(c);
	mask_stream_fini(&c->mask);
	free(c);
}

static void mask_part(const struct scan *sc, const struct scan_part *p)
{
	if (!source_is_masked(p->src, p->st.i)) return;
	int64_t from = p->st.min_ts > sc->o.from ? p->st.min_ts : sc->o.from;
	int64_t last = p->st.max_ts < sc->o.to ? p->st.max_ts : sc->o.to - 1;
	mask_stream_init(&p->c->mask, p->src->mask, &p->rs->pub.labels, from, last);
}

static void part_start(struct scan *sc, struct scan_part *p)
{
	uint32_t window = p->st.rows < sc->window ? p->st.rows : sc->window;
	struct cursor *c = mem_alloc(sizeof *c + window * (sizeof *c->ts + sizeof *c->ref));
	*c = (struct cursor){.src = p->src, .stream = p->st.i, .window = window};
	c->ts = (int64_t *)(c + 1);
	c->ref = (uint32_t *)(c->ts + window);
	p->c = c;
	mask_part(sc, p);
	if (!c->mask.all) c->src->ops->start(sc, c, p);
}

/* Makes the next row available in the window; false: there is none. */
static bool part_ready(struct scan *sc, struct scan_part *p)
{
	if (p->ended) return false;
	if (!p->c) part_start(sc, p);
	if (p->c->at < p->c->n) return true;
	if (!p->c->mask.all) p->c->src->ops->fill(sc, p->c);
	if (p->c->n) return true;
	p->ended = true;
	p->c->next_ended = sc->ended; /* queued rows still need it */
	sc->ended = p->c;
	p->c = NULL;
	return false;
}

/* ---- merging the sources of one stream ---- */

static void merger_add(struct scan *sc, struct scan_merger *m, struct source *src, const struct source_stream *st)
{
	m->parts[m->nparts++] = (struct scan_part){.rs = m->rs, .src = src, .st = *st, .bound = bound_of(sc, st)};
}

static struct scan_merger *merger_new(struct scan *sc, size_t number)
{
	const struct scan_candidate *cand = &sc->cands[number];
	struct scan_merger *m = mem_zalloc(sizeof *m + cand->nparts * sizeof m->parts[0]);
	m->rs = cand->rs;
	m->key = cand->key;
	for (size_t i = 0; i < sc->nplaces; i++) {
		struct source_stream st = snapshot_place_stream(&sc->places[i]);
		if (source_stream_overlaps(&st, sc->o.from, sc->o.to)) merger_add(sc, m, sc->places[i].src, &st);
	}
	for (uint32_t at = cand->first; at; at = sc->refs[at - 1].next) {
		struct source *src = &sc->snap->src[sc->refs[at - 1].src];
		struct source_stream st;
		struct err e = ERR_INIT;
		if (src->ops->get(src, sc->refs[at - 1].stream, &st, &e))
			merger_add(sc, m, src, &st);
		else
			scan_damaged(sc, &e);
	}
	return m;
}

static void merger_free(struct scan_merger *m)
{
	for (uint32_t i = 0; i < m->nparts; i++) cursor_free(m->parts[i].c);
	free(m->group);
	free(m);
}

/* Finds the part with the least key, and the least key among the others. A part not yet started counts with its
 * bound and is started when it comes first. NULL: all have ended. */
static struct scan_part *merger_first(struct scan *sc, struct scan_merger *m, int64_t *key, int64_t *second,
				      bool *alone)
{
	for (;;) {
		struct scan_part *best = NULL;
		*alone = true;
		for (struct scan_part *p = m->parts; p < m->parts + m->nparts; p++) {
			if (p->ended || (p->c && !part_ready(sc, p))) continue;
			int64_t k = key_of(sc, p->c ? p->c->ts[p->c->at] : p->bound);
			if (!best || k < *key || (k == *key && !p->c && best->c)) {
				if (best && (*alone || *key < *second)) *second = *key, *alone = false;
				best = p;
				*key = k;
			} else if (*alone || k < *second) {
				*second = k;
				*alone = false;
			}
		}
		if (!best || best->c) return best;
		part_ready(sc, best);
	}
}

static void queue_row(struct scan *sc, const struct scan_merger *m, struct cursor *c, int64_t ts, uint32_t ref)
{
	size_t i = sc->qn++;
	sc->ts[i] = ts;
	sc->cursor[i] = c;
	sc->ref[i] = ref;
	sc->stream[i] = &m->rs->pub;
	sc->lost[i] = false;
}

/* All rows with the least timestamp, from every source, in arrival order and without copies. */
static void merger_gather(struct scan *sc, struct scan_merger *m, int64_t ts)
{
	size_t kept = 0;
	m->ngroup = m->group_at = 0;
	m->group_ts = ts;
	for (struct scan_part *p = m->parts; p < m->parts + m->nparts; p++) {
		size_t first = m->ngroup;
		if (!p->c && key_of(sc, p->bound) > key_of(sc, ts)) continue;
		while (part_ready(sc, p) && p->c->ts[p->c->at] == ts) {
			MEM_GROW(m->group, m->ngroup, m->cap_group);
			m->group[m->ngroup++] = (struct scan_group_row){p->c, p->c->ref[p->c->at++]};
		}
		for (size_t a = first, b = m->ngroup; !sc->o.forward && a + 1 < b; a++) {
			struct scan_group_row swap = m->group[a];
			m->group[a] = m->group[--b];
			m->group[b] = swap;
		}
	}
	dedup_clear(&sc->seen);
	for (size_t i = 0; i < m->ngroup; i++) {
		struct dedup_key k;
		if (!m->group[i].c->src->ops->key(sc, m->group[i].c, m->group[i].ref, &k)) continue;
		if (dedup_add(&sc->seen, k))
			m->group[kept++] = m->group[i];
		else
			sc->stats.duplicates++;
	}
	m->ngroup = kept;
}

static void merger_emit_group(struct scan *sc, struct scan_merger *m)
{
	for (; m->group_at < m->ngroup && sc->qn < sc->target; m->group_at++) {
		size_t i = sc->o.forward ? m->group_at : m->ngroup - 1 - m->group_at;
		queue_row(sc, m, m->group[i].c, m->group_ts, m->group[i].ref);
	}
}

/* Queues rows whose key is below `limit`, or equal to it if `through`. False: the stream has ended. */
static bool merger_emit(struct scan *sc, struct scan_merger *m, int64_t limit, bool through)
{
	for (;;) {
		int64_t key = 0, second = 0;
		bool alone;
		merger_emit_group(sc, m);
		if ((sc->group_pending = m->group_at < m->ngroup)) {
			m->key = key_of(sc, m->group_ts);
			return true;
		}
		struct scan_part *p = merger_first(sc, m, &key, &second, &alone);
		if (!p) return false;
		struct cursor *c = p->c;
		m->key = key;
		if (sc->qn == sc->target || key > limit || (key == limit && !through)) return true;
		if (!alone && key == second) {
			merger_gather(sc, m, c->ts[c->at]);
			continue;
		}
		while (c->at < c->n && sc->qn < sc->target) {
			int64_t k = key_of(sc, c->ts[c->at]);
			if ((!alone && k >= second) || k > limit || (k == limit && !through)) break;
			queue_row(sc, m, c, c->ts[c->at], c->ref[c->at]);
			c->at++;
		}
	}
}

static void free_done(struct scan *sc)
{
	for (struct scan_merger *m = sc->done, *next; m; m = next) {
		next = m->next_done;
		merger_free(m);
	}
	sc->done = NULL;
	for (struct cursor *c = sc->group_pending ? NULL : sc->ended, *next; c; c = next) {
		next = c->next_ended;
		cursor_free(c);
	}
	if (!sc->group_pending) sc->ended = NULL;
}

/* Its cursors are needed until the rows queued from them are yielded. */
static void merger_done(struct scan *sc, struct scan_merger *m)
{
	m->next_done = sc->done;
	sc->done = m;
	if (sc->qn == 0) free_done(sc);
}

/* ---- filling the queue ---- */

static void queue_by_stream(struct scan *sc)
{
	while (sc->qn < sc->target && scan_poll(sc)) {
		if (!sc->current) {
			if (sc->next_cand == sc->ncands) return;
			sc->current = merger_new(sc, sc->next_cand);
			sc->next_cand++;
		}
		if (merger_emit(sc, sc->current, INT64_MAX, true)) continue;
		merger_done(sc, sc->current);
		sc->current = NULL;
	}
}

/* Streams join the heap when the order reaches their earliest possible row. */
static void heap_admit(struct scan *sc)
{
	while (sc->next_cand < sc->ncands) {
		const struct scan_merger *top = heap_top(&sc->heap);
		if (top && top->key < sc->cands[sc->next_cand].key) return;
		heap_push(&sc->heap, merger_new(sc, sc->next_cand));
		sc->next_cand++;
	}
}

/* The key that the top may not pass: the next stream's, in the heap or still outside. */
static int64_t heap_limit(const struct scan *sc, const struct scan_merger *top, bool *through)
{
	int64_t limit = INT64_MAX;
	*through = true;
	for (size_t i = 1; i < 3 && i < sc->heap.n; i++) {
		const struct scan_merger *m = sc->heap.v[i];
		if (m->key > limit) continue;
		bool first = stream_order(sc, top->rs, m->rs) < 0;
		*through = m->key < limit ? first : *through && first;
		limit = m->key;
	}
	/* Of those outside, the next one comes first at its key. */
	const struct scan_candidate *next = sc->next_cand < sc->ncands ? &sc->cands[sc->next_cand] : NULL;
	if (next && next->key <= limit) {
		bool first = stream_order(sc, top->rs, next->rs) < 0;
		*through = next->key < limit ? first : *through && first;
		limit = next->key;
	}
	return limit;
}

static void queue_by_time(struct scan *sc)
{
	while (sc->qn < sc->target && scan_poll(sc)) {
		bool through;
		heap_admit(sc);
		struct scan_merger *top = heap_top(&sc->heap);
		if (!top) {
			/* What is queued borrows from the span's cursors. */
			if (sc->qn || !next_span(sc)) return;
			continue;
		}
		int64_t limit = heap_limit(sc, top, &through);
		if (merger_emit(sc, top, limit, through))
			heap_fix_top(&sc->heap);
		else
			merger_done(sc, heap_pop(&sc->heap));
	}
}

/* ---- yielding ---- */

/* Fetches rows [qat, end) cursor by cursor; returns up to where it got. */
static size_t fetch_in_order(struct scan *sc, size_t end)
{
	uint16_t at[SCAN_ROWS];
	for (size_t i = sc->qat; i < end;) {
		struct cursor *c = sc->cursor[i];
		size_t n = 0;
		while (i + n < end && sc->cursor[i + n] == c) {
			at[n] = (uint16_t)(i + n);
			n++;
		}
		size_t did = c->src->ops->fetch(sc, c, at, n);
		if (did < n) return i + did;
		i += n;
	}
	return end;
}

static int by_cursor(const void *a, const void *b, void *ud)
{
	const struct scan *sc = ud;
	uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
	if (sc->cursor[x] != sc->cursor[y]) return (uintptr_t)sc->cursor[x] < (uintptr_t)sc->cursor[y] ? -1 : 1;
	return (x > y) - (x < y);
}

static void fetch_grouped(struct scan *sc, size_t end)
{
	uint16_t at[SCAN_ROWS];
	size_t n = 0;
	for (size_t i = sc->qat; i < end; i++) at[n++] = (uint16_t)i;
	qsort_r(at, n, sizeof at[0], by_cursor, sc);
	for (size_t i = 0, k; i < n; i = k) {
		struct cursor *c = sc->cursor[at[i]];
		for (k = i; k < n && sc->cursor[at[k]] == c; k++) {}
		c->src->ops->fetch(sc, c, at + i, k - i);
	}
}

/* Where a batch from qat on has as many bytes of lines as it should. */
static size_t cut_by_bytes(struct scan *sc)
{
	unsigned want = sc->o.want;
	uint64_t bytes = 0;
	size_t i = sc->qat;
	sc->o.want = SCAN_LEN;
	if (sc->o.order == SCAN_BY_TIME)
		fetch_grouped(sc, sc->qn);
	else
		fetch_in_order(sc, sc->qn);
	sc->o.want = want;
	for (; i < sc->qn; i++) {
		if (!sc->lost[i]) bytes += sc->len[i];
		if (bytes > BATCH_BYTES && i > sc->qat) break;
	}
	return i;
}

static size_t fetch(struct scan *sc)
{
	size_t end = sc->qn;
	if (!sc->o.want) return end;
	if (sc->o.want & SCAN_LINE) end = cut_by_bytes(sc);
	if (sc->o.order != SCAN_BY_TIME) return fetch_in_order(sc, end);
	fetch_grouped(sc, end);
	return end;
}

/* Rows that could not be read leave the batch. */
static size_t drop_lost(struct scan *sc, size_t end)
{
	size_t k = sc->qat;
	for (size_t i = sc->qat; i < end; i++) {
		if (sc->lost[i]) continue;
		if (k != i) {
			sc->ts[k] = sc->ts[i];
			sc->stream[k] = sc->stream[i];
			sc->line[k] = sc->line[i];
			sc->len[k] = sc->len[i];
			sc->meta[k] = sc->meta[i];
		}
		k++;
	}
	return k - sc->qat;
}

static void release_batch(struct scan *sc)
{
	for (size_t i = 0; i < sc->npins; i++) segment_release(sc->pins[i].seg, sc->pins[i].item);
	sc->npins = 0;
	arena_reset(&sc->batch);
}

static void put_batch(struct scan *sc, size_t from, size_t n, struct scan_batch *out)
{
	const struct reader_stream *one = sc->stream[from];
	for (size_t i = 1; i < n && one; i++) {
		if (sc->stream[from + i] != one) one = NULL;
	}
	*out = (struct scan_batch){
		.n = n,
		.one = one,
		.stream = one ? NULL : sc->stream + from,
		.ts = sc->ts + from,
		.line = sc->o.want & SCAN_LINE ? sc->line + from : NULL,
		.len = sc->o.want & SCAN_LEN ? sc->len + from : NULL,
		.meta = sc->o.want & SCAN_META ? sc->meta + from : NULL,
		.filtered = sc->o.filters != NULL,
	};
}

bool scan_next(struct scan *sc, struct scan_batch *out, struct err *e)
{
	for (;;) {
		release_batch(sc);
		if (sc->qat == sc->qn) {
			if (sc->qn == sc->target && sc->target < SCAN_ROWS) sc->target *= 2;
			sc->qat = sc->qn = 0;
			free_done(sc);
			if (sc->o.order == SCAN_BY_TIME)
				queue_by_time(sc);
			else
				queue_by_stream(sc);
		}
		if (sc->err.code) {
			*e = sc->err;
			return false;
		}
		if (sc->qn == 0) return false;
		size_t from = sc->qat, end = fetch(sc), n = drop_lost(sc, end);
		sc->qat = end;
		if (n == 0) continue;
		put_batch(sc, from, n, out);
		return true;
	}
}

void scan_stats(const struct scan *sc, struct scan_stats *out)
{
	out->head_bytes += sc->stats.head_bytes;
	out->head_lines += sc->stats.head_lines;
	out->segment_bytes += sc->stats.segment_bytes;
	out->segment_lines += sc->stats.segment_lines;
	out->compressed_bytes += sc->stats.compressed_bytes;
	out->duplicates += sc->stats.duplicates;
	out->chunks += sc->stats.chunks;
	out->meta_bytes += sc->stats.meta_bytes;
}

void scan_close(struct scan *sc)
{
	if (!sc) return;
	release_batch(sc);
	sc->group_pending = false;
	free_done(sc);
	if (sc->current) merger_free(sc->current);
	for (struct scan_merger *m; (m = heap_pop(&sc->heap));) merger_free(m);
	heap_free(&sc->heap);
	free(sc->cands);
	free(sc->refs);
	free(sc->places);
	segment_needles_free(sc->needles);
	for (size_t i = 0; sc->barren && i < sc->snap->nsrc; i++) free(sc->barren[i]);
	free(sc->barren);
	dedup_free(&sc->seen);
	buf_free(&sc->scratch);
	arena_free(&sc->batch);
	free(sc);
}
