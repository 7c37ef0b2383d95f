/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structured metadata of a granule: columns by name, joined into one label set per row (segment.h). */
#include "common/codec.h"
#include "server/store/pack.h"
#include "server/store/segment_impl.h"

#include <stdlib.h>

struct meta_column {
	struct str name;
	uint64_t *rows, *ids; /* rows is NULL when every row has a value */
	size_t n, nvalues;
	struct str *values;
};

static bool column_decode(struct str in, uint32_t rows, struct arena *a, struct meta_column *c)
{
	uint64_t n, nvalues;
	if (!rd_varint(&in, &n) || n == 0 || n > rows) return false;
	c->n = (size_t)n;
	c->rows = NULL;
	if (n < rows) {
		c->rows = arena_alloc(a, c->n * sizeof *c->rows);
		if (!unpack_u64(&in, c->rows, c->n)) return false;
	}
	if (!rd_varint(&in, &nvalues) || nvalues == 0 || nvalues > n) return false;
	c->nvalues = (size_t)nvalues;
	c->ids = arena_alloc(a, c->n * sizeof *c->ids);
	uint64_t *lens = arena_alloc(a, c->nvalues * sizeof *lens);
	if (!unpack_u64(&in, c->ids, c->n) || !unpack_u64(&in, lens, c->nvalues)) return false;
	c->values = arena_alloc(a, c->nvalues * sizeof *c->values);
	for (size_t i = 0; i < c->nvalues; i++) {
		if (lens[i] > in.n || !rd_bytes(&in, (size_t)lens[i], &c->values[i])) return false;
	}
	for (size_t i = 0; i < c->n; i++) {
		if (c->ids[i] >= nvalues) return false;
		if (c->rows && (c->rows[i] >= rows || (i && c->rows[i] <= c->rows[i - 1]))) return false;
	}
	return in.n == 0;
}

/* Reads one column; its value bytes go to the arena `keep_in`, the rest to `a`. */
static bool column_read(struct segment *s, const struct segment_blocks *b, const struct segment_meta *m, uint32_t rows,
			struct arena *keep_in, struct arena *a, struct meta_column *c, struct err *e)
{
	struct buf stored = {0}, raw = {0};
	uint8_t codec = 0;
	uint64_t n = 0;
	bool ok = segment_part_read(s, &m->part, "metadata", &stored, e);
	if (ok) {
		struct str in = buf_view(&stored);
		ok = rd_u8(&in, &codec) && rd_varint(&in, &n) && n <= UINT32_MAX && segment_plausible(n, in.n);
		if (ok && codec == CODEC_ZSTD)
			ok = codec_expand(CODEC_ZSTD, in, (size_t)n, &raw, e);
		else if (ok && codec == CODEC_NONE)
			buf_str(&raw, in);
		else
			ok = false;
		c->name = segment_symbol(&b->names, m->name);
		ok = ok && raw.n == n && column_decode(arena_str(keep_in, buf_view(&raw)), rows, a, c);
		if (!ok) segment_corrupt(s, m->part.off, "metadata", e);
	}
	buf_free(&stored);
	buf_free(&raw);
	return ok;
}

/* Rows get their sets column by column: a set is a smaller set plus one pair, and pairs of (set, value) already
 * seen in this column are the same set. So rows with equal metadata share one. */
struct set_node {
	uint32_t parent, depth;
	struct label pair;
	const struct labels *built;
};

struct set_slot {
	uint64_t key; /* (set, value id) + 1 */
	uint32_t set;
};

struct set_builder {
	struct arena *a;
	struct set_node *nodes;
	size_t n, cap;
	struct set_slot *slots;
	size_t nslots;
};

static uint32_t set_extend(struct set_builder *b, uint32_t set, const struct meta_column *c, uint64_t id)
{
	uint64_t key = ((uint64_t)set << 32 | id) + 1;
	size_t h = (key * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (b->nslots - 1);
	while (b->slots[h].key && b->slots[h].key != key) h = (h + 1) & (b->nslots - 1);
	if (!b->slots[h].key) {
		struct set_node node = {set, b->nodes[set].depth + 1, {c->name, c->values[id]}, NULL};
		b->slots[h] = (struct set_slot){key, (uint32_t)b->n};
		*ARENA_PUSH(b->a, b->nodes, b->n, b->cap) = node;
	}
	return b->slots[h].set;
}

static void column_join(struct set_builder *b, const struct meta_column *c, uint32_t *row_set)
{
	memset(b->slots, 0, b->nslots * sizeof *b->slots);
	for (size_t i = 0; i < c->n; i++) {
		uint32_t *set = &row_set[c->rows ? c->rows[i] : i];
		*set = set_extend(b, *set, c, c->ids[i]);
	}
}

static const struct labels *set_build(struct set_builder *b, struct arena *keep_in, uint32_t set)
{
	struct set_node *node = &b->nodes[set];
	if (node->built) return node->built;
	struct labels *l = arena_alloc(keep_in, sizeof *l);
	l->n = node->depth;
	l->v = arena_alloc(keep_in, (l->n ? l->n : 1) * sizeof *l->v);
	for (uint32_t i = node->depth, k = set; i > 0; k = b->nodes[k].parent) l->v[--i] = b->nodes[k].pair;
	return node->built = l;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct meta_column *)a)->name, ((const struct meta_column *)b)->name);
}

static void metas_join(struct segment_metas *m, struct meta_column *cols, size_t ncols, struct arena *scratch)
{
	struct set_builder b = {.a = scratch, .nslots = 2 * SEGMENT_GRANULE};
	uint32_t row_set[SEGMENT_GRANULE] = {0};
	b.slots = arena_alloc(scratch, b.nslots * sizeof *b.slots);
	*ARENA_PUSH(scratch, b.nodes, b.n, b.cap) = (struct set_node){0};
	qsort(cols, ncols, sizeof *cols, by_name);
	for (size_t i = 0; i < ncols; i++) column_join(&b, &cols[i], row_set);
	for (uint32_t i = 0; i < m->n; i++) m->v[i] = set_build(&b, &m->arena, row_set[i]);
}

static void metas_free(struct cache_item *it)
{
	arena_free(&((struct segment_metas *)it)->arena);
	free(it);
}

struct segment_metas *segment_metas(struct segment *s, const struct segment_blocks *b, uint32_t granule, struct err *e)
{
	struct segment_metas *m = segment_cached(s, SEGMENT_KIND_METAS, granule);
	if (m) return m;
	const struct segment_granule *g = &b->granules[granule];
	struct arena scratch;
	arena_init(&scratch, 0);
	m = mem_zalloc(sizeof *m);
	arena_init(&m->arena, 0);
	m->n = segment_granule_rows(b, granule);
	m->v = arena_alloc(&m->arena, m->n * sizeof *m->v);
	struct meta_column *cols = arena_alloc(&scratch, (g->nmeta + 1) * sizeof *cols);
	bool ok = true;
	for (uint32_t i = 0; i < g->nmeta && ok; i++)
		ok = column_read(s, b, &b->metas[g->first_meta + i], m->n, &m->arena, &scratch, &cols[i], e);
	if (ok) metas_join(m, cols, g->nmeta, &scratch);
	arena_free(&scratch);
	if (ok) return segment_keep(s, SEGMENT_KIND_METAS, granule, &m->item, sizeof *m + m->arena.used, metas_free);
	metas_free(&m->item);
	return NULL;
}
