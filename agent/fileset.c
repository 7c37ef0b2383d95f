/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/fileset.h"

#include "agent/stats.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- small things ---- */

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash > path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
}

int fileset_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno != ENOENT)
		log_warn("a file cannot be opened and is tried again", kv_c("file", path),
			 kv_c("err", strerror(errno)));
	return fd;
}

void fileset_scan_soon(struct fileset *s, int64_t ns)
{
	int64_t at = fileset_mono(s) + ns;

	if (at >= s->scan_at) return;
	s->scan_at = at;
	loop_timer_set(s->scan_timer, ns);
}

void item_ready(struct fileset *s, struct item *it)
{
	if (it->is_ready || (it->tail->fd < 0 && !it->parked)) return;
	it->is_ready = true;
	TAILQ_INSERT_TAIL(&s->ready, it, ready);
	s->env.ready(s->env.ud);
}

void item_idle(struct fileset *s, struct item *it)
{
	if (!it->is_ready) return;
	it->is_ready = false;
	TAILQ_REMOVE(&s->ready, it, ready);
}

/* ---- events ---- */

static void add_key(struct fileset *s, struct item *it, struct key *k, const char *path)
{
	struct key_list *l = map_get(&s->events, str_c(path));

	if (!l) {
		l = mem_zalloc(sizeof *l);
		l->path = mem_strdup(path);
		map_put(&s->events, str_c(l->path), l);
	}
	k->item = it;
	k->list = l;
	LIST_INSERT_HEAD(&l->keys, k, link);
}

static void del_key(struct fileset *s, struct key *k)
{
	struct key_list *l = k->list;

	if (!l) return;
	LIST_REMOVE(k, link);
	k->list = NULL;
	if (!LIST_EMPTY(&l->keys)) return;
	map_del(&s->events, str_c(l->path));
	free(l->path);
	free(l);
}

/* Watches the path's directory, and that of the file it links to. */
static void watch_item(struct fileset *s, struct item *it)
{
	char *dir = dir_of(it->path), *real_dir = realpath(dir, NULL), *real = realpath(it->path, NULL);
	struct buf named = {0};

	it->watched = s->env.watch && real && real_dir && watch_dir(s->env.watch, real_dir);
	if (real && real_dir) {
		fs_path(&named, real_dir, strrchr(it->path, '/') + 1);
		add_key(s, it, &it->keys[0], buf_cstr(&named));
	}
	if (real && strcmp(real, buf_cstr(&named)) != 0) {
		char *target_dir = dir_of(real);
		it->watched = it->watched && watch_dir(s->env.watch, target_dir);
		add_key(s, it, &it->keys[1], real);
		free(target_dir);
	}
	buf_free(&named);
	free(real);
	free(real_dir);
	free(dir);
}

void item_unwatch(struct fileset *s, struct item *it)
{
	del_key(s, &it->keys[0]);
	del_key(s, &it->keys[1]);
}
/* ---- items ---- */

void item_account(struct fileset *s, struct item *it)
{
	struct metrics *m = s->env.metrics;
	struct str path = str_c(it->path);
	struct tail *t = it->tail;
	struct stat st;

	/* Looked up each time: another job that reads the path removes the series when it is done with it. */
	metrics_add(metrics_get(m, STAT_READ_LINES, &path), (double)(t->lines - it->lines));
	it->lines = t->lines;
	if (t->too_long != it->too_long)
		metrics_add(metrics_get(m, STAT_LINES_TOO_LONG, &path), (double)(t->too_long - it->too_long));
	it->too_long = t->too_long;
	if (it->rotated) return;
	metrics_set(metrics_get(m, STAT_READ_BYTES, &path), (double)t->off);
	if (t->fd >= 0 && fstat(t->fd, &st) == 0)
		metrics_set(metrics_get(m, STAT_FILE_BYTES, &path), (double)st.st_size);
}

/* The newest item of that path which is still to be read to its end. */
static struct item *predecessor(struct fileset *s, const struct target *t, const char *path)
{
	struct item *found = NULL, *it;

	TAILQ_FOREACH (it, &s->all, all)
		if (it->target == t && it->rotated && !it->drained && strcmp(it->path, path) == 0) found = it;
	return found;
}

struct item *item_new(struct fileset *s, const struct target *t, struct ledger_file *f, int fd, const struct stat *st,
		      bool rotated)
{
	struct item *it = mem_zalloc(sizeof *it);

	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->rotated = rotated;
	it->target = t;
	it->path = f->path;
	it->after = predecessor(s, t, it->path);
	it->tail = tail_new(s->env.ledger, f, fd, &t->labels, s->env.clients, s->env.nclients);
	it->rotated = rotated;
	it->grown_at = fileset_mono(s);
	it->seen_at = clock_wall(s->env.clock);
	TAILQ_INSERT_TAIL(&s->all, it, all);
	metrics_inc(s->env.metrics, STAT_FILES_ACTIVE, 1);
	if (!rotated) watch_item(s, it);
	s->changed = true;
	item_ready(s, it);
	log_info(rotated ? "reading the rest of a rotated file" : "reading a file", kv_c("job", s->env.job->name.p),
		 kv_c("file", f->path), kv_i("offset", it->tail->off), kv_i("inode", (int64_t)f->ino));
	return it;
}

void item_free(struct fileset *s, struct item *it)
{
	struct item *o;
	bool last = true;
	struct str path = str_c(it->path);

	item_idle(s, it);
	item_account(s, it);
	TAILQ_REMOVE(&s->all, it, all);
	TAILQ_FOREACH (o, &s->all, all) {
		if (o->after == it) o->after = it->after;
		last = last && strcmp(o->path, it->path) != 0;
	}
	for (size_t i = 0; last && i < 3; i++)
		metrics_remove(s->env.metrics, (const size_t[]){STAT_READ_LINES, STAT_READ_BYTES, STAT_FILE_BYTES}[i],
			       &path);
	metrics_inc(s->env.metrics, STAT_FILES_ACTIVE, -1);
	if (it->parked) metrics_inc(s->env.metrics, STAT_FILES_PARKED, -1);
	item_unwatch(s, it);
	tail_free(it->tail);
	free(it);
}

void item_rotate(struct fileset *s, struct item *it)
{
	if (it->rotated) return;
	it->rotated = it->tail->file->rotated = true;
	it->drained = it->tail->fd < 0;
	it->grown_at = fileset_mono(s);
	s->changed = true;
	positions_del(s->env.positions, str_c(it->path));
	metrics_inc(s->env.metrics, STAT_ROTATIONS, 1);
	item_ready(s, it);
	log_info("a file was rotated", kv_c("file", it->path), kv_i("inode", (int64_t)it->tail->file->ino),
		 kv_i("offset", it->tail->off));
}
