/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that are out of reach: entries are answered all the time, uploads go on, and nothing comes twice. */
#include "server/store/outbox.h"

#include "server/store/tenant.h"
#include "tests/unit/server/store_util.h"

/* ---- an object store with a gate ---- */

struct gate {
	_Atomic bool closed;        /* calls fail */
	const char *_Atomic only;   /* closed for these names only; NULL: for all */
	_Atomic bool answers_lost;  /* uploads are carried out before they fail */
	struct clock_fake *slow;    /* the next segment takes 40 minutes of it; or NULL */
	struct object_store *under; /* the files behind it */
};

struct gated {
	struct object_store base; /* first */
	struct gate *g;
	struct object_store *under;
};

struct object_upload {
	struct gated *s;
	struct object_upload *under;
	struct str name;
};

static bool passes(struct object_store *base, struct str name, struct err *e)
{
	struct gate *g = ((struct gated *)base)->g;
	const char *only = g->only;
	if (!g->closed || (only && str_find(name, str_c(only)) < 0)) return true;
	return err_set(e, ERR_IO, "out of reach");
}

static struct object_upload *gated_begin(struct object_store *base, struct str name, struct err *e)
{
	struct gated *s = (struct gated *)base;
	if (!s->g->answers_lost && !passes(base, name, e)) return NULL;
	if (s->g->slow && str_find(name, STR("/segments/")) > 0) {
		clock_fake_step(s->g->slow, 40 * UNITS_MIN);
		s->g->slow = NULL;
	}
	struct object_upload *u = mem_zalloc(sizeof *u);
	*u = (struct object_upload){s, s->under->ops->begin(s->under, name, e), mem_str(name)};
	assert_non_null(u->under);
	return u;
}

static bool gated_append(struct object_upload *u, struct str piece, struct err *e)
{
	return u->s->under->ops->append(u->under, piece, e);
}

static void upload_free(struct object_upload *u)
{
	free((char *)u->name.p);
	free(u);
}

static bool gated_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	bool ok = u->s->under->ops->commit(u->under, if_absent, e);
	ok = ok && passes(&u->s->base, u->name, e);
	upload_free(u);
	return ok;
}

static void gated_abort(struct object_upload *u)
{
	u->s->under->ops->abort(u->under);
	upload_free(u);
}

#define UNDER(base) ((struct gated *)(base))->under

static bool gated_get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	return passes(s, name, e) && UNDER(s)->ops->get(UNDER(s), name, off, n, out, e);
}

static bool gated_read(struct object_store *s, struct str name, size_t max, struct buf *out, struct err *e)
{
	return passes(s, name, e) && object_read(UNDER(s), name, max, out, e);
}

static bool gated_list(struct object_store *s, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	return passes(s, prefix, e) && object_list(UNDER(s), prefix, fn, ud, e);
}

static bool gated_dirs(struct object_store *s, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	return passes(s, prefix, e) && object_dirs(UNDER(s), prefix, fn, ud, e);
}

static bool gated_remove(struct object_store *s, struct str name, struct err *e)
{
	return passes(s, name, e) && object_remove(UNDER(s), name, e);
}

static void gated_free(struct object_store *s)
{
	object_close(UNDER(s));
	free(s);
}

static struct object_store *put_gate(void *ud, struct object_store *files)
{
	static const struct object_ops ops = {gated_begin, gated_append, gated_commit, gated_abort,  gated_get,
					      gated_read,  gated_list,   gated_dirs,   gated_remove, gated_free};
	struct gated *s = mem_zalloc(sizeof *s);
	struct gate *g = ud;
	*s = (struct gated){.base.ops = &ops, .g = g, .under = files};
	g->under = files;
	return &s->base;
}

/* ---- a place behind it ---- */

struct far {
	struct place p;
	struct gate g;
	struct model m;
	struct rnd r;
};

static void far_init(struct far *w)
{
	memset(w, 0, sizeof *w);
	w->r.s = 5;
	place_init(&w->p);
	model_init(&w->m, 4);
	w->p.remote = true;
	w->p.objects = put_gate;
	w->p.objects_ud = &w->g;
	place_open(&w->p);
}

static void far_fini(struct far *w)
{
	model_free(&w->m);
	place_fini(&w->p);
}

static void push_some(struct far *w, size_t n)
{
	struct entry_of v[100];
	struct arena a;
	arena_init(&a, 0);
	assert_true(n <= COUNT(v));
	random_entries(&w->m, &w->r, &a, w->p.clock.wall_ns, v, n);
	MUST(model_push(&w->m, w->p.in, "t", v, n, must));
	arena_free(&a);
}

static void push_and_flush(struct far *w)
{
	push_some(w, 60);
	MUST(ingest_flush(w->p.in, must));
}

static void far_reopen(struct far *w)
{
	place_close(&w->p, false);
	place_open(&w->p);
}

static void check_answers(struct far *w) { model_check_all(&w->m, w->p.st, "t"); }

static struct outbox_stats stats(struct far *w)
{
	struct outbox_stats s;
	store_outbox(w->p.st, &s);
	return s;
}

static void upload_fails(struct far *w, const char *why)
{
	struct err e = ERR_INIT;
	assert_false(store_upload(w->p.st, &e));
	assert_non_null(strstr(e.msg, why));
	assert_true(stats(w).error.code != ERR_NONE);
}

static bool count_one(void *ud, const struct object_info *o)
{
	(void)o;
	++*(unsigned *)ud;
	return true;
}

static unsigned count_objects(struct object_store *s, const char *prefix)
{
	unsigned n = 0;
	MUST(object_list(s, str_c(prefix), count_one, &n, must));
	return n;
}

static unsigned count_local(struct far *w, const char *below)
{
	char path[128];
	struct fs_list l = {0};
	struct err e = ERR_INIT;
	snprintf(path, sizeof path, "%s/outbox/%s", w->p.dir, below);
	if (!fs_list(path, &l, &e)) return 0;
	unsigned n = (unsigned)l.n;
	fs_list_free(&l);
	return n;
}

/* What was wrong is over. An attempt that was under way then may still fail, once. */
static void upload_at_last(struct far *w)
{
	struct err e = ERR_INIT;
	if (!store_upload(w->p.st, &e)) MUST(store_upload(w->p.st, must));
}

/* All is uploaded, the local files are gone, and a new process without any of them answers the same. */
static void check_uploaded(struct far *w, unsigned segments)
{
	char command[300];
	MUST(ingest_flush(w->p.in, must));
	upload_at_last(w);
	assert_int_equal(stats(w).segments, 0);
	assert_int_equal(count_local(w, "t/entries") + count_local(w, "t/segments"), 0);
	if (segments) assert_int_equal(count_objects(w->g.under, "t/segments/"), segments);
	check_answers(w);
	struct store_totals sum;
	store_totals(w->p.st, &sum);
	uint64_t named = sum.segments;
	place_close(&w->p, false);
	snprintf(command, sizeof command, "rm -r %s/catalogs %s/outbox", w->p.dir, w->p.dir);
	assert_int_equal(system(command), 0);
	place_open(&w->p);
	check_answers(w);
	store_totals(w->p.st, &sum);
	assert_int_equal(sum.segments, named);
}

/* ---- tests ---- */

static void what_is_flushed_is_uploaded(void **state)
{
	struct far w;
	(void)state;
	far_init(&w);
	for (int i = 0; i < 3; i++) {
		push_and_flush(&w);
		check_answers(&w);
	}
	check_uploaded(&w, 0);
	far_fini(&w);
}

static void an_outage_costs_no_lines(void **state)
{
	struct far w;
	(void)state;
	far_init(&w);
	push_and_flush(&w);
	upload_at_last(&w);
	w.g.closed = true;
	for (int i = 0; i < 3; i++) push_and_flush(&w);
	push_some(&w, 50);
	upload_fails(&w, "out of reach");
	struct outbox_stats s = stats(&w);
	assert_int_equal(s.entries, 3);
	assert_true(s.bytes > 0 && s.failures > 0 && s.oldest == w.p.clock.wall_ns);
	assert_int_equal(count_local(&w, "t/entries"), 3);
	w.g.closed = false;
	check_uploaded(&w, 0);
	far_fini(&w);
}

static bool has_warning(struct far *w, const char *text)
{
	struct snapshot *s = snapshot_take(w->p.st, STR("t"));
	struct str warning = snapshot_warning(s);
	bool has = warning.n && str_find(warning, str_c(text)) >= 0;
	snapshot_free(s);
	return has;
}

/* What was in the outbox and in the log is there; what only the remote store has is missing, and that is said. */
static void a_server_starts_in_an_outage(void **state)
{
	struct far w, late;
	struct err e = ERR_INIT;
	(void)state;
	far_init(&w);
	place_close(&w.p, false);
	w.g.closed = true;
	place_open(&w.p); /* it has seen the store once, empty */
	assert_true(has_warning(&w, "out of reach"));
	push_and_flush(&w);
	push_some(&w, 50);
	far_reopen(&w);
	check_answers(&w);
	push_and_flush(&w);
	far_reopen(&w);
	check_answers(&w);
	assert_true(has_warning(&w, "out of reach"));
	assert_false(store_refresh(w.p.st, &e));
	w.g.closed = false;
	MUST(store_refresh(w.p.st, must));
	assert_false(has_warning(&w, "out of reach"));
	check_answers(&w);
	check_uploaded(&w, 0);

	/* It knows what it has uploaded, though it cannot read it. */
	struct store_totals before, after;
	store_totals(w.p.st, &before);
	place_close(&w.p, false);
	w.g.closed = true;
	place_open(&w.p);
	store_totals(w.p.st, &after);
	assert_int_equal(before.segments, after.segments);
	w.g.closed = false;
	check_answers(&w);
	far_fini(&w);

	memset(&late, 0, sizeof late); /* who has never seen the store cannot know what is in it */
	place_init(&late.p);
	late.p.remote = true;
	late.p.objects = put_gate;
	late.p.objects_ud = &late.g;
	late.g.closed = true;
	assert_false(place_try_open(&late.p, &e));
	place_fini(&late.p);
}

static void too_much_waits_and_flushes_wait(void **state)
{
	struct far w;
	struct err e = ERR_INIT;
	(void)state;
	far_init(&w);
	w.p.outbox_limit = 1000;
	far_reopen(&w);
	w.g.closed = true;
	push_and_flush(&w);
	push_some(&w, 30);
	assert_false(ingest_flush(w.p.in, &e));
	assert_non_null(strstr(e.msg, "larch.outbox_limit"));
	check_answers(&w);
	w.g.closed = false;
	upload_at_last(&w);
	MUST(ingest_flush(w.p.in, must));
	check_uploaded(&w, 0);
	far_fini(&w);
}

/* The segments were uploaded, but the entry that names them cannot be made for so long that another process may take
 * them for orphans: they are uploaded anew, under other names. A snapshot from before can still be read. */
static void check_late(bool asleep)
{
	struct far w;
	struct err e = ERR_INIT;
	far_init(&w);
	w.g.only = "/catalog/";
	w.g.closed = true;
	push_and_flush(&w);
	upload_fails(&w, "out of reach");
	unsigned n = count_objects(w.g.under, "t/segments/");
	assert_true(n > 0);
	struct snapshot *s = snapshot_take(w.p.st, STR("t"));
	if (asleep)
		w.p.clock.wall_ns += 40 * UNITS_MIN;
	else
		clock_fake_step(&w.p.clock, 40 * UNITS_MIN);
	w.g.closed = false;
	upload_at_last(&w);
	assert_int_equal(count_local(&w, "t/segments"), 0);
	struct scan *sc = scan_open(s, &(struct scan_opts){.from = INT64_MIN, .to = INT64_MAX, .want = SCAN_LINE}, &e);
	struct scan_batch b;
	size_t rows = 0;
	while (scan_next(sc, &b, &e)) rows += b.n;
	assert_int_equal(e.code, ERR_NONE);
	assert_true(rows > 0 && snapshot_warning(s).n == 0);
	scan_close(sc);
	snapshot_free(s);
	check_uploaded(&w, 2 * n);
	far_fini(&w);
}

static void late_segments_get_new_names(void **state)
{
	(void)state;
	check_late(false);
}

static void so_do_those_of_a_machine_that_slept(void **state)
{
	(void)state;
	check_late(true);
}

/* Nor is it soon enough that an upload began in time. */
static void slow_segments_get_new_names(void **state)
{
	struct far w;
	struct store_totals sum;
	(void)state;
	far_init(&w);
	w.g.slow = &w.p.clock;
	push_and_flush(&w);
	upload_at_last(&w);
	store_totals(w.p.st, &sum);
	check_uploaded(&w, 2 * (unsigned)sum.segments);
	far_fini(&w);
}

static void a_lost_answer_names_nothing_twice(void **state)
{
	struct far w;
	(void)state;
	far_init(&w);
	w.g.only = "/catalog/";
	w.g.answers_lost = true;
	w.g.closed = true;
	push_and_flush(&w);
	upload_fails(&w, "out of reach");
	w.g.closed = false;
	upload_at_last(&w);
	assert_int_equal(count_objects(w.g.under, "t/catalog/"), 1);
	check_uploaded(&w, count_objects(w.g.under, "t/segments/"));
	far_fini(&w);

	far_init(&w); /* and a kill in between */
	w.g.only = "/catalog/";
	w.g.answers_lost = true;
	w.g.closed = true;
	push_and_flush(&w);
	upload_fails(&w, "out of reach");
	place_close(&w.p, false);
	w.g.closed = false;
	place_open(&w.p);
	upload_at_last(&w);
	assert_int_equal(count_objects(w.g.under, "t/catalog/"), 1);
	check_uploaded(&w, count_objects(w.g.under, "t/segments/"));
	far_fini(&w);
}

/* A flush whose outbox entry is there although making it failed is tried again, and there is one entry. */
static void a_failing_disk_makes_no_second_entry(void **state)
{
	(void)state;
	bool reached = true;
	for (long at = 1; reached; at++) {
		struct far w;
		struct fs_fault f;
		struct err e = ERR_INIT;
		fs_fault_init(&f, quick_fs());
		f.ops = FS_OP_SYNC | FS_OP_OPEN;
		far_init(&w);
		place_close(&w.p, false);
		w.p.fs = &f.base;
		place_open(&w.p);
		w.g.closed = true;
		push_some(&w, 20);
		f.seen = 0;
		f.count = at;
		while (!ingest_flush(w.p.in, &e)) e = ERR_INIT;
		reached = f.count == 0;
		f.count = -1;
		assert_int_equal(count_local(&w, "t/entries"), 1);
		far_reopen(&w);
		check_answers(&w);
		w.g.closed = false;
		check_uploaded(&w, 0);
		far_fini(&w);
	}
}

static void flip_entry(struct far *w)
{
	char path[160];
	struct fs_list l;
	snprintf(path, sizeof path, "%s/outbox/t/entries", w->p.dir);
	MUST(fs_list(path, &l, must));
	assert_int_equal(l.n, 1);
	strcat(path, "/");
	strcat(path, l.v[0]);
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 40, SEEK_SET);
	fputc('?', f);
	fclose(f);
	fs_list_free(&l);
}

static void a_damaged_entry_is_left_for_whoever_can_read_it(void **state)
{
	struct far w;
	(void)state;
	far_init(&w);
	w.g.closed = true;
	push_and_flush(&w);
	unsigned segments = count_local(&w, "t/segments");
	place_close(&w.p, false);
	flip_entry(&w);
	place_open(&w.p);
	assert_int_equal(stats(&w).entries, 0);
	assert_int_equal(count_local(&w, "t/segments"), segments);
	model_free(&w.m); /* its lines are out of sight */
	model_init(&w.m, 4);
	push_and_flush(&w);
	check_answers(&w);
	assert_int_equal(count_local(&w, "t/entries"), 2);
	far_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_flushed_is_uploaded),
		cmocka_unit_test(an_outage_costs_no_lines),
		cmocka_unit_test(a_server_starts_in_an_outage),
		cmocka_unit_test(too_much_waits_and_flushes_wait),
		cmocka_unit_test(late_segments_get_new_names),
		cmocka_unit_test(so_do_those_of_a_machine_that_slept),
		cmocka_unit_test(slow_segments_get_new_names),
		cmocka_unit_test(a_lost_answer_names_nothing_twice),
		cmocka_unit_test(a_failing_disk_makes_no_second_entry),
		cmocka_unit_test(a_damaged_entry_is_left_for_whoever_can_read_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
