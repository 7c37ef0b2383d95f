/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files, as a source: a fileset's items are read in turn as events, polls and scans make them ready. */
#include "agent/fileset.h"

#include "agent/stats.h"
#include "common/log.h"

#include <stdlib.h>
#include <unistd.h>

#define RESCAN_AFTER (100 * UNITS_MS) /* directory events are gathered so long */
#define RETRY_MIN    (250 * UNITS_MS) /* pauses between attempts to read what cannot be read: doubling */
#define RETRY_MAX    (60 * UNITS_SEC)

/* ---- polling ---- */

/* What no event tells of: rotated files, whose names are not known, file systems without inotify, and disks that
 * can be read again. */
static void poll_files(void *ud)
{
	struct fileset *s = ud;
	struct item *it, *next;
	struct stat st;
	bool grown = false, all = s->env.watch && watch_incomplete(s->env.watch);

	for (it = TAILQ_FIRST(&s->all); it; it = next) {
		next = TAILQ_NEXT(it, all);
		if (it->retry_at && fileset_mono(s) >= it->retry_at) item_ready(s, it);
		if (it->rotated) {
			item_review(s, it);
		} else if ((all || !it->watched) && it->tail->fd >= 0 && fstat(it->tail->fd, &st) == 0 &&
			   tail_changed(it->tail, &st)) {
			item_ready(s, it);
			grown = true;
		}
	}
	int64_t min = s->env.conf->global.poll.min, max = s->env.conf->global.poll.max;
	s->poll_ns = grown || !s->poll_ns ? min : s->poll_ns * 2 < max ? s->poll_ns * 2 : max;
	loop_timer_set(s->poll_timer, s->poll_ns);
}

/* ---- reading ---- */

/* Content was cut: the rest of what was there may have been copied away first. */
static void on_truncated(struct fileset *s, struct item *it)
{
	struct stat st, now;
	struct tail *t = it->tail;
	bool was_current = !it->rotated;

	metrics_inc(s->env.metrics, STAT_TRUNCATIONS, 1);
	if (was_current) {
		item_rotate(s, it);
		item_unwatch(s, it);
	}
	int copy = fileset_find(s, it->target, t->file, t, &st);
	log_info("a file was truncated", kv_c("file", it->path), kv_i("offset", t->off),
		 kv_c("copy", copy >= 0 ? "found" : "none"));
	if (copy >= 0) {
		tail_move(t, copy, &st);
		it->drained = false;
		item_ready(s, it);
	} else {
		tail_close(t);
		t->file->ino = 0; /* the inode goes on with other content */
		it->drained = true;
		item_idle(s, it);
	}
	int fd = was_current ? fileset_open(it->path) : -1;
	if (fd < 0) return;
	if (fstat(fd, &now) == 0)
		item_new(s, it->target, fileset_add(s, it->target, it->path), fd, &now, false);
	else
		close(fd);
}

static void read_item(struct fileset *s, struct item *it, struct batch *b)
{
	struct err e = ERR_INIT;
	int64_t before = it->tail->off;
	enum tail_result r = tail_read(it->tail, &s->rb, s->env.clock, it->finishing, b, &e);

	if (it->tail->off != before) it->grown_at = fileset_mono(s);
	item_account(s, it);
	item_idle(s, it);
	it->retry_at = 0;
	if (r != TAIL_FAILED) it->pause = 0;
	switch (r) {
	case TAIL_MORE: item_ready(s, it); break;
	case TAIL_FAILED:
		log_warn("a file cannot be read and is tried again", kv_err(&e));
		it->drained = true; /* others need not wait for it */
		it->finishing = false;
		it->grown_at = fileset_mono(s);
		it->pause = !it->pause ? RETRY_MIN : it->pause < RETRY_MAX / 2 ? it->pause * 2 : RETRY_MAX;
		it->retry_at = it->grown_at + it->pause;
		break;
	case TAIL_IDLE:
		it->drained = true;
		if (it->finishing) tail_close(it->tail);
		break;
	case TAIL_TRUNCATED: on_truncated(s, it); break;
	}
}

static struct item *next_readable(struct fileset *s)
{
	struct item *it;

	TAILQ_FOREACH (it, &s->ready, ready) {
		while (it->after && it->after->drained) it->after = it->after->after;
		if (!it->after) return it;
	}
	return NULL;
}

static enum pump file_pump(void *ud, struct batch *b)
{
	struct fileset *s = ud;
	struct item *it = next_readable(s);

	if (it && (!it->parked || item_unpark(s, it))) read_item(s, it, b);
	return next_readable(s) ? PUMP_MORE : PUMP_IDLE;
}

/* ---- what the agent asks ---- */

static bool file_save(void *ud)
{
	struct fileset *s = ud;
	struct item *it;
	bool changed = s->changed;

	s->changed = false;
	TAILQ_FOREACH (it, &s->all, all) {
		changed |= tail_save(it->tail, s->env.clients);
		if (it->rotated) continue;
		int64_t off = ledger_slowest(it->tail->file);
		struct item *o;
		if (s->d.n > 1) /* several targets may read one path: the file has the slowest */
			TAILQ_FOREACH (o, &s->all, all)
				if (!o->rotated && strcmp(o->path, it->path) == 0 &&
				    ledger_slowest(o->tail->file) < off)
					off = ledger_slowest(o->tail->file);
		positions_put_offset(s->env.positions, str_c(it->path), off);
	}
	return changed;
}

static bool file_is_ready(void *ud)
{
	struct fileset *s = ud;
	struct item *it;

	TAILQ_FOREACH (it, &s->all, all)
		if (!it->rotated && it->tail->fd >= 0) return true;
	return false;
}

static void put_labels(struct json_out *o, const char *key, const struct labels *l)
{
	json_key(o, str_c(key));
	json_open(o, '{');
	for (size_t i = 0; i < l->n; i++) {
		json_key(o, l->v[i].name);
		json_put_str(o, l->v[i].value);
	}
	json_close(o, '}');
}

static void describe_item(struct fileset *s, const struct item *it, struct json_out *o)
{
	struct tail *t = it->tail;
	struct stat st;

	json_open(o, '{');
	json_key(o, STR("path"));
	json_put_str(o, str_c(it->path));
	json_key(o, STR("state"));
	json_put_str(o, it->parked    ? STR("parked")
			: t->fd < 0   ? STR("closed")
			: it->rotated ? STR("rotated")
				      : STR("active"));
	json_key(o, STR("offset"));
	json_put_i64(o, t->off);
	json_key(o, STR("size"));
	json_put_i64(o, t->fd >= 0 && fstat(t->fd, &st) == 0 ? st.st_size : t->off);
	for (size_t i = 0; i < s->env.nclients; i++) {
		if (i == 0) {
			json_key(o, STR("acknowledged"));
			json_open(o, '{');
		}
		json_key(o, str_c(s->env.clients[i]));
		json_put_i64(o, ledger_cursor(t->file, s->env.clients[i]));
		if (i + 1 == s->env.nclients) json_close(o, '}');
	}
	json_close(o, '}');
}

static void file_describe(void *ud, struct json_out *o)
{
	struct fileset *s = ud;
	struct item *it;

	for (size_t i = 0; i < s->d.n; i++) {
		const struct target *t = &s->d.v[i];
		json_open(o, '{');
		json_key(o, STR("type"));
		json_put_str(o, STR("file"));
		json_key(o, STR("ready"));
		json_put_bool(o, !t->dropped);
		json_key(o, STR("reason"));
		json_put_str(o, str_c(t->dropped ? t->dropped : ""));
		put_labels(o, "labels", &t->labels);
		put_labels(o, "discovered", &t->discovered);
		json_key(o, STR("files"));
		json_open(o, '[');
		TAILQ_FOREACH (it, &s->all, all)
			if (it->target == t) describe_item(s, it, o);
		json_close(o, ']');
		json_close(o, '}');
	}
}

static bool file_wants(const struct job_conf *job) { return job->has_statics; }

static bool file_check(const struct job_conf *job, const struct relabel *r, struct err *e)
{
	struct discovery d;

	if (!discovery_init(&d, job, r, e)) return false;
	discovery_fini(&d);
	return true;
}

/* Events of the one watch go to every file source. */
static void file_changed(void *ud, struct str path)
{
	struct fileset *s = ud;
	struct key_list *l = map_get(&s->events, path);
	struct key *k;

	if (!l) return;
	LIST_FOREACH (k, &l->keys, link) item_ready(s, k->item);
}

static void file_names(void *ud) { fileset_scan_soon(ud, RESCAN_AFTER); }

static void *file_start(const struct source_env *env, struct err *e)
{
	struct fileset *s = mem_zalloc(sizeof *s);

	s->env = *env;
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->ready);
	if (!discovery_init(&s->d, env->job, env->relabel, e)) {
		free(s);
		return NULL;
	}
	for (size_t i = 0; i < s->d.n; i++) {
		struct str reason = str_c(s->d.v[i].dropped);
		if (reason.p)
			metrics_add(metrics_get(env->metrics, STAT_TARGETS_FAILED, &reason), 1);
		else
			metrics_inc(env->metrics, STAT_TARGETS_ACTIVE, 1);
		s->active += !reason.p;
	}
	s->scan_timer = loop_timer_add(env->loop, 0, fileset_scan, s);
	s->scan_at = fileset_mono(s);
	s->poll_timer = loop_timer_add(env->loop, env->conf->global.poll.min, poll_files, s);
	return s;
}

static void file_stop(void *ud)
{
	struct fileset *s = ud;

	while (!TAILQ_EMPTY(&s->all)) item_free(s, TAILQ_FIRST(&s->all));
	map_free(&s->events);
	map_free(&s->by_inode);
	loop_timer_del(s->scan_timer);
	loop_timer_del(s->poll_timer);
	metrics_inc(s->env.metrics, STAT_TARGETS_ACTIVE, -(double)s->active);
	discovery_fini(&s->d);
	free(s->rb.p);
	free(s);
}

const struct source_type source_file = {
	.name = "file",
	.wants = file_wants,
	.check = file_check,
	.start = file_start,
	.pump = file_pump,
	.save = file_save,
	.is_ready = file_is_ready,
	.changed = file_changed,
	.names = file_names,
	.describe = file_describe,
	.stop = file_stop,
};
