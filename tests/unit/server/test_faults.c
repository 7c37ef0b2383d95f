/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every call to the file system and to the object store fails in turn, in each way it can, and the power goes at every
 * call in turn: whatever was acknowledged is there exactly once, and nothing that was never sent.
 *
 * LARCH_FAULTS=all tries every way at every call; without it they take turns. */
#include "tests/unit/server/fault_util.h"
#include "tests/unit/server/ledger_util.h"

#include "server/store/maintain.h"

/* Two tenants, two days. */
struct life {
	struct place *p;
	struct ledger *v[2];
	struct arena a;
	struct limits limits;
	struct overrides *overrides;
	struct maintain *maintain;
};

static bool try_open(struct life *w, struct err *e)
{
	if (!place_try_open(w->p, e)) return false;
	wait_ready(w->p);
	w->maintain = maintain_start(&(struct maintain_config){.store = w->p->st,
							       .overrides = w->overrides,
							       .clock = &w->p->clock.base,
							       .cancel_ns = UNITS_HOUR,
							       .target = 1u << 20,
							       .memory = 8u << 20,
							       .compact = true},
				     e);
	return w->maintain != NULL;
}

static void close_all(struct life *w, bool flush)
{
	maintain_stop(w->maintain);
	place_close(w->p, flush);
}

static void push_all(struct life *w, size_t n)
{
	struct err e;
	for (int i = 0; i < 2; i++) ledger_push(w->v[i], w->p->in, w->v[i]->n, n, &e);
}

static void check_all(struct life *w, bool may_warn)
{
	for (int i = 0; i < 2; i++) ledger_check_(w->v[i], w->p->st, may_warn);
}

/* Merges, and carries out the requests of an hour ago. */
static bool maintain(struct life *w, struct err *e)
{
	clock_fake_step(&w->p->clock, 2 * UNITS_HOUR);
	return maintain_run(w->maintain, NULL, e);
}

/* One life of a server where calls fail: opened, pushed to, flushed, deleted from, compacted, closed. A query that
 * cannot read a segment says so. */
static void live(struct life *w)
{
	struct err e = ERR_INIT;
	if (!try_open(w, &e)) return;
	push_all(w, 3);
	push_all(w, 6);
	check_all(w, true);
	ledger_delete(w->v[0], w->p, 1, &e);
	ingest_flush(w->p->in, &e);
	check_all(w, true);
	push_all(w, 2);
	maintain(w, &e);
	check_all(w, true);
	close_all(w, true);
}

/* A place with something to replay, to read, to delete and to merge. */
static void begin(struct life *w, struct place *p, struct ledger *a, struct ledger *b)
{
	*w = (struct life){.p = p, .v = {a, b}};
	arena_init(&w->a, 0);
	conf_defaults(&limits_table, &w->limits, &w->a);
	MUST((w->overrides = overrides_new(&w->limits, (struct conf_strs){0}, &fs_real, must)) != NULL);
	ledger_init(a, "t");
	ledger_init(b, "u");
	MUST(try_open(w, must));
	for (int i = 0; i < 2; i++) {
		push_all(w, 5);
		MUST(ingest_flush(p->in, must));
	}
	MUST(ledger_delete(a, p, 0, must));
	push_all(w, 4);
	close_all(w, false);
}

static void end(struct life *w)
{
	for (int again = 0; again < 2; again++) {
		MUST(try_open(w, must));
		check_all(w, false);
		if (again) MUST(maintain(w, must));
		check_all(w, false);
		close_all(w, true);
	}
	place_fini(w->p);
	for (int i = 0; i < 2; i++) ledger_free(w->v[i]);
	overrides_free(w->overrides);
	arena_free(&w->a);
}

static bool every_way(void)
{
	const char *all = getenv("LARCH_FAULTS");
	return all && strcmp(all, "all") == 0;
}

static bool takes_turn(size_t way, size_t ways, long at) { return (size_t)at % ways == way % ways || every_way(); }

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SPARSE 4 /* everything takes ten times as long */
#else
#define SPARSE 1
#endif

/* Every so many calls one is tried. With an outbox there are more, and other threads make them: then it is another one
 * each time. No stride has a factor in common with the number of ways that take turns (5 and 3). */
static long stride(bool remote) { return every_way() ? 1 : remote ? 2 * SPARSE : SPARSE; }

/* A call that was not reached is behind the last one; where other threads make calls, perhaps not yet. */
static bool is_behind_all(bool remote, int missed) { return missed >= (remote ? 3 : 1); }

static void fail_file_operations(bool remote)
{
	static const struct {
		unsigned ops;
		int error;
		bool sticky;
	} kinds[] = {{FS_OP_WRITE, 0, false},
		     {FS_OP_WRITE, EIO, false},
		     {FS_OP_WRITE | FS_OP_LINK | FS_OP_MKDIR, ENOSPC, true},
		     {FS_OP_SYNC, EIO, false},
		     {FS_OP_OPEN, EMFILE, false},
		     {FS_OP_RENAME | FS_OP_LINK | FS_OP_TRUNCATE, EIO, false},
		     {FS_OP_MKDIR | FS_OP_UNLINK, EACCES, false},
		     {FS_OP_READ, EIO, false},
		     {FS_OP_ALL & ~(FS_OP_OPEN | FS_OP_READ), EIO, true}};
	for (size_t k = 0; k < COUNT(kinds); k++) {
		int missed = 0;
		long at = 1 + (long)k % stride(remote);
		for (; !is_behind_all(remote, missed); at += stride(remote)) {
			struct place p;
			struct ledger a, b;
			struct life w;
			struct fs_fault f;
			if (!takes_turn(k, 5, at)) continue;
			place_init(&p);
			p.remote = remote;
			begin(&w, &p, &a, &b);
			fs_fault_init(&f, quick_fs());
			f.ops = kinds[k].ops;
			f.error = kinds[k].error;
			f.sticky = kinds[k].sticky;
			f.count = at;
			p.fs = &f.base;
			live(&w);
			missed = f.seen >= at ? 0 : missed + 1;
			p.fs = quick_fs();
			end(&w);
		}
		print_message("kind %zu: %ld calls\n", k, at - 2);
		assert_true(at > 2);
	}
}

static struct object_store *fail_objects(void *ud, struct object_store *files) { return object_fault_new(files, ud); }

static void fail_object_operations(bool remote)
{
	for (int kind = 0; kind < OBJECT_FAULTS; kind++) {
		int missed = 0;
		long at = 1;
		for (; !is_behind_all(remote, missed); at += stride(remote)) {
			struct place p;
			struct ledger a, b;
			struct life w;
			struct object_faults f;
			if (!takes_turn((size_t)kind, OBJECT_FAULTS, at)) continue;
			place_init(&p);
			p.remote = remote;
			begin(&w, &p, &a, &b);
			object_faults_init(&f, NULL);
			object_faults_arm(&f, (enum object_fault_kind)kind, at);
			p.objects = fail_objects;
			p.objects_ud = &f;
			live(&w);
			missed = f.t.seen >= at ? 0 : missed + 1;
			p.objects = NULL;
			object_faults_fini(&f);
			end(&w);
		}
		print_message("kind %d: %ld calls\n", kind, at - 2);
		assert_true(at > 2);
	}
}

static bool cut_power(bool remote, long at, enum power_loss loss)
{
	struct place p, left;
	struct ledger a, b;
	struct life w;
	struct power power;
	power_init(&power);
	place_init(&p);
	p.remote = remote;
	p.fs = &power.base;
	begin(&w, &p, &a, &b);
	trigger_arm(&power.t, at);
	live(&w);
	bool reached = power.t.seen >= at;
	place_init(&left);
	left.remote = remote;
	power_restore(&power, p.dir, left.dir, loss, (uint64_t)at);
	place_fini(&p);
	w.p = &left;
	end(&w);
	power_fini(&power);
	return reached;
}

static void cut_power_everywhere(bool remote)
{
	int missed = 0;
	long at = 1;
	for (; !is_behind_all(remote, missed); at += stride(remote)) {
		for (int loss = 0; loss < POWER_LOSSES; loss++) {
			if (takes_turn((size_t)loss, POWER_LOSSES, at))
				missed = cut_power(remote, at, (enum power_loss)loss) ? 0 : missed + 1;
		}
	}
	print_message("%ld calls\n", at - 2);
	assert_true(at > 20);
}

static void a_failing_file_operation_loses_nothing(void **state)
{
	(void)state;
	fail_file_operations(false);
}

static void a_failing_object_operation_loses_nothing(void **state)
{
	(void)state;
	fail_object_operations(false);
}

static void a_power_cut_at_any_call_loses_nothing(void **state)
{
	(void)state;
	cut_power_everywhere(false);
}

/* The same with the objects far away: what is flushed goes through the outbox. */
static void nor_does_any_of_them_with_an_outbox(void **state)
{
	(void)state;
	fail_file_operations(true);
	fail_object_operations(true);
	cut_power_everywhere(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_file_operation_loses_nothing),
		cmocka_unit_test(a_failing_object_operation_loses_nothing),
		cmocka_unit_test(a_power_cut_at_any_call_loses_nothing),
		cmocka_unit_test(nor_does_any_of_them_with_an_outbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
