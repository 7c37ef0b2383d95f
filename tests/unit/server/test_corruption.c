/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every bit flip and every cut tail of every file of a small store: it starts, answers no line that was never sent and
 * none twice, says so where lines are missing, and goes on taking pushes.
 *
 * LARCH_FAULTS=all flips every bit and cuts at every byte; without it one bit of each byte, and every third length. */
#include "tests/unit/server/store_util.h"

#include "common/log.h"
#include "common/units.h"

#define NOW     INT64_C(1700000000000000000)
#define STREAMS 3
#define TENANT  "t"

struct original {
	char dir[64];
	struct model m;
};

static void push_some(struct model *m, struct place *p, struct rnd *r, size_t n, int64_t now)
{
	struct arena a;
	struct entry_of v[64];
	arena_init(&a, 0);
	random_entries(m, r, &a, now, v, n);
	MUST(model_push(m, p->in, TENANT, v, n, must));
	arena_free(&a);
}

/* flushes: segments, each with a catalog entry of its own; then two log files that are not flushed. */
static void make_original(struct original *o, int flushes)
{
	struct place p;
	struct rnd r = {7};
	place_init(&p);
	p.c.segment_bytes = 1; /* a log file for each group */
	model_init(&o->m, STREAMS);
	place_open(&p);
	for (int i = 0; i < flushes; i++) {
		push_some(&o->m, &p, &r, 6, NOW + i * UNITS_SEC);
		MUST(ingest_flush(p.in, must));
	}
	for (int i = 0; i < 2; i++) push_some(&o->m, &p, &r, 4, NOW + i * UNITS_SEC);
	place_close(&p, false);
	strcpy(o->dir, p.dir);
}

static void original_free(struct original *o)
{
	remove_tree(o->dir);
	model_free(&o->m);
}

/* Objects never change, so they are shared; the log is copied. */
static void link_tree(const char *from, const char *to)
{
	struct fs_list l;
	struct buf a = {0}, b = {0};
	struct stat st;
	mkdir(to, 0700);
	MUST(fs_list(from, &l, must));
	for (size_t i = 0; i < l.n; i++) {
		fs_path(&a, from, l.v[i]);
		fs_path(&b, to, l.v[i]);
		assert_int_equal(stat(a.p, &st), 0);
		if (S_ISDIR(st.st_mode))
			link_tree(a.p, b.p);
		else
			assert_int_equal(link(a.p, b.p), 0);
	}
	fs_list_free(&l);
	buf_free(&a);
	buf_free(&b);
}

static void copy_original(const struct original *o, struct place *p)
{
	struct buf from = {0}, to = {0};
	fs_path(&from, o->dir, "store");
	fs_path(&to, p->dir, "store");
	link_tree(from.p, to.p);
	fs_path(&from, o->dir, "wal");
	fs_path(&to, p->dir, "wal");
	copy_tree(from.p, to.p);
	buf_free(&from);
	buf_free(&to);
}

/* ---- what is answered ---- */

static size_t find(const struct model *m, const struct reader_stream *rs, int64_t ts, struct str line,
		   const struct labels *meta)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct entry_of *x = &m->v[i];
		if (x->ts == ts && str_eq(x->line, line) && labels_eq(&x->meta, meta) &&
		    labels_eq(&m->streams[x->stream], &rs->labels))
			return i;
	}
	fail_msg("a line that was never sent: %.*s", STR_ARG(line));
	return 0;
}

/* How many entries are missing. *warned: the answer says so. */
static size_t check_rows(const struct model *m, struct store *st, enum scan_order order, bool *warned)
{
	struct err e = ERR_INIT;
	struct snapshot *s = snapshot_take(st, STR(TENANT));
	struct scan_opts o = {
		.from = INT64_MIN, .to = INT64_MAX, .order = order, .want = SCAN_LINE | SCAN_LEN | SCAN_META};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	bool *seen = mem_zalloc(m->n);
	size_t missing = 0;
	while (scan_next(sc, &b, &e)) {
		for (size_t i = 0; i < b.n; i++) {
			size_t k = find(m, b.one ? b.one : b.stream[i], b.ts[i], b.line[i], b.meta[i]);
			if (seen[k]) fail_msg("a line is answered twice: %.*s", STR_ARG(b.line[i]));
			seen[k] = true;
		}
	}
	if (e.code) fail_msg("%s", e.msg);
	for (size_t i = 0; i < m->n; i++) {
		bool copy = false; /* an entry that came again is found as its first one */
		for (size_t k = 0; k < i && !copy; k++) copy = entry_same(&m->v[k], &m->v[i]);
		missing += !copy && !seen[i];
	}
	*warned = snapshot_warning(s).n > 0;
	scan_close(sc);
	snapshot_free(s);
	free(seen);
	return missing;
}

static bool all_of_it(void)
{
	const char *all = getenv("LARCH_FAULTS");
	return all && strcmp(all, "all") == 0;
}

static uint64_t complaints(void) { return log_count(LOG_LEVEL_WARN) + log_count(LOG_LEVEL_ERROR); }

/* torn: the newest log file was cut, as a crash cuts it. */
static size_t check_store(struct original *o, struct place *p, bool torn, bool in_store)
{
	uint64_t before = complaints();
	struct rnd r = {1};
	bool warned;
	place_open(p);
	size_t missing = check_rows(&o->m, p->st, SCAN_BY_TIME, &warned);
	assert_int_equal(check_rows(&o->m, p->st, SCAN_BY_STREAM, &warned), missing);
	if (missing && !torn && complaints() == before) fail_msg("%zu entries are missing and nobody says so", missing);
	if (missing && in_store && !warned)
		fail_msg("%zu entries are missing from an answer without a warning", missing);
	static unsigned turn;
	if (!all_of_it() && turn++ % 4) return missing;
	/* Life goes on. */
	size_t n = o->m.n;
	push_some(&o->m, p, &r, 5, NOW + UNITS_HOUR);
	MUST(ingest_flush(p->in, must));
	place_close(p, false);
	place_open(p);
	size_t later = check_rows(&o->m, p->st, SCAN_BY_TIME, &warned);
	if (later > missing) fail_msg("%zu entries are missing after a restart, %zu before", later, missing);
	o->m.n = n;
	return missing;
}

/* ---- damage ---- */

struct damage {
	struct original *o;
	size_t flips, cuts, lost; /* damages that cost entries */
};

/* path: below the directory. */
static void damage_file(struct damage *d, const char *path, struct str bytes, bool newest_log)
{
	struct place p;
	struct buf file = {0};
	place_init(&p);
	copy_original(d->o, &p);
	fs_path(&file, p.dir, path);
	MUST(fs_unlink(&fs_real, file.p, must)); /* it is shared */
	put_file(file.p, bytes);
	if (check_store(d->o, &p, newest_log, strncmp(path, "store/", 6) == 0)) d->lost++;
	place_fini(&p);
	buf_free(&file);
}

static void damage_everywhere(struct damage *d, const char *path, size_t stride, bool newest_log)
{
	struct buf file = {0}, bytes = {0};
	fs_path(&file, d->o->dir, path);
	MUST(fs_read_file(&fs_real, file.p, 1 << 20, &bytes, must));
	size_t bits = all_of_it() ? 8 : 1, cut_by = all_of_it() ? 1 : 3 * stride;
	if (all_of_it()) stride = 1;
	for (size_t i = 0; i < bytes.n; i += stride) {
		for (size_t b = 0; b < bits; b++, d->flips++) {
			char mask = (char)(1 << (bits == 8 ? b : i / stride % 8));
			bytes.p[i] ^= mask;
			damage_file(d, path, buf_view(&bytes), false);
			bytes.p[i] ^= mask;
		}
	}
	for (size_t n = 0; n < bytes.n; n += cut_by, d->cuts++) damage_file(d, path, str_of(bytes.p, n), newest_log);
	buf_free(&file);
	buf_free(&bytes);
}

/* The files of a directory that begin so. */
static void damage_dir(struct damage *d, const char *dir, const char *prefix, size_t stride)
{
	struct fs_list l;
	struct buf full = {0}, path = {0};
	fs_path(&full, d->o->dir, dir);
	MUST(fs_list(full.p, &l, must));
	size_t n = 0;
	for (size_t i = 0; i < l.n; i++) {
		if (!str_starts(str_c(l.v[i]), str_c(prefix))) continue;
		n++;
		fs_path(&path, dir, l.v[i]);
		size_t flips = d->flips, lost = d->lost;
		damage_everywhere(d, path.p, stride, strcmp(dir, "wal") == 0 && i + 1 == l.n);
		print_message("%s: %zu flips, %zu damages cost entries\n", path.p, d->flips - flips, d->lost - lost);
	}
	assert_true(n > 0);
	fs_list_free(&l);
	buf_free(&full);
	buf_free(&path);
}

static void damage_is_survived_and_named(void **state)
{
	struct original o;
	struct damage d = {&o};
	(void)state;
	make_original(&o, 2);
	damage_dir(&d, "wal", "wal-", 1);
	damage_dir(&d, "store/" TENANT "/catalog", "", 1);
	damage_dir(&d, "store/" TENANT "/segments", "", 5);
	assert_true(d.lost > d.flips / 10);
	original_free(&o);
}

/* What a checkpoint says is in the entries before it, too, until those are old. */
static void a_damaged_checkpoint_costs_nothing(void **state)
{
	struct original o;
	struct damage d = {&o};
	(void)state;
	make_original(&o, 66);
	damage_dir(&d, "store/" TENANT "/catalog", "checkpoint-", 101);
	assert_int_equal(d.lost, 0);
	original_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_is_survived_and_named),
		cmocka_unit_test(a_damaged_checkpoint_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
