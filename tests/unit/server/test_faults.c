/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every call to the file system and to the object store fails in turn, in each way it can, and the power goes at every
 * call in turn: whatever was acknowledged is there exactly once, and nothing that was never sent.
 *
 * LARCH_FAULTS=all tries every way at every call; without it ways that are alike take turns. */
#include "tests/unit/server/fault_util.h"
#include "tests/unit/server/ledger_util.h"

/* Two tenants, two days. */
struct life {
	struct place *p;
	struct ledger *v[2];
};

static void push_all(struct life *w, size_t n)
{
	struct err e;
	for (int i = 0; i < 2; i++) ledger_push(w->v[i], w->p->in, w->v[i]->n, n, &e);
}

static void check_all(struct life *w, bool may_warn)
{
	for (int i = 0; i < 2; i++) ledger_check_(w->v[i], w->p->st, may_warn);
}

/* One life of a server where calls fail: opened, pushed to, flushed, closed. A query that cannot read a segment says
 * so. */
static void live(struct life *w)
{
	struct err e = ERR_INIT;
	if (!place_try_open(w->p, &e)) return;
	wait_ready(w->p);
	push_all(w, 3);
	push_all(w, 6);
	check_all(w, true);
	ingest_flush(w->p->in, &e);
	check_all(w, true);
	push_all(w, 2);
	check_all(w, true);
	place_close(w->p, true);
}

/* A place with something to replay and something to read. */
static void begin(struct life *w, struct place *p, struct ledger *a, struct ledger *b)
{
	struct err e = ERR_INIT;
	*w = (struct life){p, {a, b}};
	ledger_init(a, "t");
	ledger_init(b, "u");
	place_open(p);
	push_all(w, 4);
	if (!ingest_flush(p->in, &e)) fail_msg("%s", e.msg);
	push_all(w, 4);
	place_close(p, false);
}

static void end(struct life *w)
{
	for (int again = 0; again < 2; again++) {
		place_open(w->p);
		check_all(w, false);
		place_close(w->p, true);
	}
	place_fini(w->p);
	for (int i = 0; i < 2; i++) ledger_free(w->v[i]);
}

static bool takes_turn(size_t way, size_t ways, long at)
{
	const char *all = getenv("LARCH_FAULTS");
	return (size_t)at % ways == way || (all && strcmp(all, "all") == 0);
}

static void a_failing_file_operation_loses_nothing(void **state)
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
	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		bool reached = true;
		long at = 1;
		for (; reached; at++) {
			struct place p;
			struct ledger a, b;
			struct life w;
			struct fs_fault f;
			if (k < 2 && !takes_turn(k, 2, at)) continue;
			place_init(&p);
			begin(&w, &p, &a, &b);
			fs_fault_init(&f, quick_fs());
			f.ops = kinds[k].ops;
			f.error = kinds[k].error;
			f.sticky = kinds[k].sticky;
			f.count = at;
			p.fs = &f.base;
			live(&w);
			reached = f.seen >= at;
			p.fs = quick_fs();
			end(&w);
		}
		print_message("kind %zu: %ld calls\n", k, at - 2);
		assert_true(at > 2);
	}
}

static struct object_store *fail_objects(void *ud, struct object_store *files) { return object_fault_new(files, ud); }

static void a_failing_object_operation_loses_nothing(void **state)
{
	(void)state;
	for (int kind = 0; kind < OBJECT_FAULTS; kind++) {
		bool reached = true;
		long at = 1;
		for (; reached; at++) {
			struct place p;
			struct ledger a, b;
			struct life w;
			struct object_faults f;
			if (kind <= OBJECT_TIMES_OUT && !takes_turn((size_t)kind, 2, at)) continue;
			place_init(&p);
			begin(&w, &p, &a, &b);
			object_faults_init(&f, NULL);
			object_faults_arm(&f, (enum object_fault_kind)kind, at);
			p.objects = fail_objects;
			p.objects_ud = &f;
			live(&w);
			reached = f.t.seen >= at;
			p.objects = NULL;
			object_faults_fini(&f);
			end(&w);
		}
		print_message("kind %d: %ld calls\n", kind, at - 2);
		assert_true(at > 2);
	}
}

static bool cut_power(long at, enum power_loss loss)
{
	struct place p, left;
	struct ledger a, b;
	struct life w;
	struct power power;
	power_init(&power);
	place_init(&p);
	p.fs = &power.base;
	begin(&w, &p, &a, &b);
	trigger_arm(&power.t, at);
	live(&w);
	bool reached = power.t.seen >= at;
	place_init(&left);
	power_restore(&power, p.dir, left.dir, loss, (uint64_t)at);
	place_fini(&p);
	w.p = &left;
	end(&w);
	power_fini(&power);
	return reached;
}

static void a_power_cut_at_any_call_loses_nothing(void **state)
{
	bool reached = true;
	long at = 1;
	(void)state;
	for (; reached; at++) {
		for (int loss = 0; loss < POWER_LOSSES; loss++) {
			if (takes_turn((size_t)loss, POWER_LOSSES, at)) reached = cut_power(at, (enum power_loss)loss);
		}
	}
	print_message("%ld calls\n", at - 2);
	assert_true(at > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_file_operation_loses_nothing),
		cmocka_unit_test(a_failing_object_operation_loses_nothing),
		cmocka_unit_test(a_power_cut_at_any_call_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
