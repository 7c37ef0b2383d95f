/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ledger_util: numbered entries of one tenant: each was never sent, refused, acknowledged, doomed, or deleted. What is
 * acknowledged must be answered exactly once; what is refused (it may have reached the log) or doomed by a delete
 * request that was refused once at most; the rest never.
 *
 * An entry's number is in its timestamp; every fifth is a day older, numbers alternate between two streams, lines
 * repeat, two of three have metadata. */
#ifndef LARCH_TESTS_UNIT_LEDGER_UTIL_H
#define LARCH_TESTS_UNIT_LEDGER_UTIL_H

#include "tests/unit/server/store_util.h"

#include "common/units.h"
#include "server/store/deletes.h"

#define TENANT "t"
#define NOW    INT64_C(1700000000000000000)

enum entry_state { NEVER_SENT, REFUSED, ACKNOWLEDGED, DOOMED, DELETED };

struct ledger {
	const char *tenant;
	uint8_t *state; /* by number */
	size_t n, cap;
	pthread_mutex_t mu;
};

static inline void ledger_init(struct ledger *l, const char *tenant)
{
	*l = (struct ledger){.tenant = tenant, .mu = PTHREAD_MUTEX_INITIALIZER};
}

static inline void ledger_free(struct ledger *l) { free(l->state); }

static inline int64_t ts_of(size_t id) { return NOW + (int64_t)id - (id % 5 == 4 ? UNITS_DAY : 0); }
static inline size_t id_of(int64_t ts) { return (size_t)(ts - NOW + (ts < NOW ? UNITS_DAY : 0)); }

/* Pushes entries [first, first + n). pad: lines are their numbers, so long; 0: all lines are the same. */
static inline bool push_numbers(struct ingest *in, const char *tenant, size_t first, size_t n, size_t pad,
				struct err *e)
{
	struct arena a;
	arena_init(&a, 0);
	struct ingest_stream s[2] = {0};
	struct label l[2][1] = {{{STR("s"), STR("0")}}, {{STR("s"), STR("1")}}};
	struct label meta = {STR("k"), STR("v")};
	for (int i = 0; i < 2; i++) {
		s[i].labels = (struct labels){l[i], 1};
		s[i].v = arena_alloc(&a, n * sizeof *s[i].v);
	}
	for (size_t k = 0; k < n; k++) {
		size_t id = first + k;
		struct ingest_stream *to = &s[id % 2];
		struct str line = pad ? arena_printf(&a, "%zu %0*d", id, (int)pad, 0) : STR("the same line again");
		to->v[to->n++] =
			(struct push_entry){ts_of(id), line, id % 3 ? (struct labels){&meta, 1} : (struct labels){0}};
	}
	struct ingest_push p = {str_c(tenant), s, 2};
	bool ok = push_wait(in, &p, e);
	arena_free(&a);
	return ok;
}

static inline bool ledger_push(struct ledger *l, struct ingest *in, size_t first, size_t n, struct err *e)
{
	pthread_mutex_lock(&l->mu);
	while (l->cap < first + n) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		l->state = mem_realloc(l->state, cap);
		memset(l->state + l->cap, NEVER_SENT, cap - l->cap);
		l->cap = cap;
	}
	memset(l->state + first, REFUSED, n);
	if (l->n < first + n) l->n = first + n;
	pthread_mutex_unlock(&l->mu);
	bool ok = push_numbers(in, l->tenant, first, n, 0, e);
	if (!ok) return false;
	pthread_mutex_lock(&l->mu);
	memset(l->state + first, ACKNOWLEDGED, n);
	pthread_mutex_unlock(&l->mu);
	return true;
}

/* Deletes what was acknowledged of the entries [5k, 5k + 4), which have successive timestamps. */
static inline bool ledger_delete(struct ledger *l, struct place *p, size_t k, struct err *e)
{
	char id[DELETE_ID];
	struct delete_spec spec = {STR("{s=~\".+\"}"), ts_of(5 * k), ts_of(5 * k + 3)};
	for (size_t i = 5 * k; i < 5 * k + 4 && i < l->n; i++) {
		if (l->state[i] == ACKNOWLEDGED) l->state[i] = DOOMED;
	}
	if (!deletes_create(store_tenant(p->st, str_c(l->tenant), true), &spec, id, e)) return false;
	ingest_fence(p->in);
	for (size_t i = 5 * k; i < 5 * k + 4 && i < l->n; i++) {
		if (l->state[i] == DOOMED) l->state[i] = DELETED;
	}
	return true;
}

/* Counts by number what a tenant's scan answers. *warned: it said that entries may be missing. */
static inline uint8_t *answered(struct store *st, const char *tenant, size_t cap, size_t *rows, bool *warned)
{
	uint8_t *seen = mem_zalloc(cap + 1);
	struct err e = ERR_INIT;
	struct snapshot *s = snapshot_take(st, str_c(tenant));
	struct scan_opts o = {.from = INT64_MIN, .to = INT64_MAX, .forward = true, .want = SCAN_LINE | SCAN_META};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	*rows = 0;
	while (scan_next(sc, &b, &e)) {
		for (size_t i = 0; i < b.n; i++, ++*rows) {
			size_t id = id_of(b.ts[i]);
			if (id >= cap || ts_of(id) != b.ts[i])
				fail_msg("timestamp %lld was never sent", (long long)b.ts[i]);
			const struct reader_stream *rs = b.one ? b.one : b.stream[i];
			check_str(rs->labels.v[0].value, id % 2 ? STR("1") : STR("0"));
			assert_int_equal(b.meta[i]->n, id % 3 ? 1 : 0);
			seen[id]++;
		}
	}
	if (e.code) fail_msg("%s", e.msg);
	*warned = snapshot_warning(s).n > 0;
	scan_close(sc);
	snapshot_free(s);
	return seen;
}

/* may_warn: parts of the store may be unreadable, if the answer says so; delete requests among them. */
static inline void ledger_check_(const struct ledger *l, struct store *st, bool may_warn)
{
	size_t rows;
	bool warned;
	uint8_t *seen = answered(st, l->tenant, l->n, &rows, &warned);
	if (!may_warn) assert_false(warned);
	for (size_t i = 0; i < l->n; i++) {
		if (l->state[i] == ACKNOWLEDGED && seen[i] != 1 && (!warned || seen[i] > 1))
			fail_msg("entry %zu was acknowledged and is answered %d times", i, seen[i]);
		if (seen[i] > 1) fail_msg("entry %zu is answered %d times", i, seen[i]);
		if (l->state[i] == NEVER_SENT && seen[i]) fail_msg("entry %zu was never sent and is answered", i);
		if (l->state[i] == DELETED && seen[i] && !warned) fail_msg("entry %zu was deleted and is answered", i);
	}
	free(seen);
}

static inline void ledger_check(const struct ledger *l, struct store *st) { ledger_check_(l, st, false); }

static inline size_t count_rows(struct store *st, const char *tenant)
{
	size_t rows;
	bool warned;
	free(answered(st, tenant, 1u << 20, &rows, &warned));
	assert_false(warned);
	return rows;
}

#endif
