/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files: which paths a job's patterns name, which content each of them holds, and what becomes of content
 * whose path is renamed, cut, deleted or replaced.
 *
 * An item is one file's content, read once under the path that named it first. It survives that name:
 * - another inode under the path: the item is `rotated`. It goes on until its file has been idle for a
 *   while, since writers may still have it open; the new file waits until the old one's end was seen.
 * - the same inode under another matching path: a rename; nothing is read twice.
 * - cut (copytruncate): if a sibling holds what was read, the item moves there for the rest.
 * At start the ledger's files go the same way: they resume where their content is found, under their first
 * path, then rotations newer than that are read, then the path's present file. */
#include "agent/source.h"

#include "agent/discovery.h"
#include "agent/siblings.h"
#include "agent/stats.h"
#include "agent/tail.h"
#include "common/log.h"
#include "common/map.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#define RENAMED_IDLE (60 * UNITS_SEC) /* a renamed file is let go after so long without growth */
#define DELETED_IDLE (2 * UNITS_SEC)
#define COPY_GRACE   (10 * UNITS_SEC) /* what looks like a copy being made is left alone so long */
#define RESCAN_AFTER (100 * UNITS_MS) /* directory events are gathered so long */

/* One way by which an event may name an item. */
struct key {
	LIST_ENTRY(key) link;
	struct item *item;
	struct key_list *list;
};

struct key_list {
	LIST_HEAD(, key) keys;
	char *path;
};

struct item {
	TAILQ_ENTRY(item) all, ready;
	struct tail *tail;
	const struct target *target;
	const char *path;                    /* the ledger's: the filename label */
	struct item *same_path, *same_inode; /* chains of a scan */
	struct item *after;                  /* is read to its end first */
	struct key keys[2];
	bool rotated;   /* path no longer names it */
	bool matched;   /* some matching path names it */
	bool drained;   /* its end was seen */
	bool finishing; /* nothing more is expected: the last line needs no newline */
	bool is_ready, watched;
	int64_t grown_at; /* mono ns */
	struct metrics_series *m_lines, *m_read, *m_size, *m_long;
	uint64_t lines, too_long; /* counted so far */
};

TAILQ_HEAD(items, item);

struct source {
	struct source_env env;
	struct discovery d;
	struct items all, ready;
	struct map events;   /* path → struct key_list */
	struct map by_path;  /* path → items, made anew by each scan */
	struct map by_inode; /* struct inode_key → items, likewise */
	struct map dirs;     /* char *: directories of patterns that are watched */
	struct loop_timer *scan_timer, *poll_timer;
	int64_t scan_at, poll_ns;
	size_t active;
	bool started, changed;
	struct tail_buf rb;
	const struct target *target; /* whose pattern is being walked */
};

/* ---- small things ---- */

static int64_t mono(const struct source *s) { return clock_mono(s->env.clock); }

static void count(const struct source *s, size_t row) { metrics_inc(s->env.metrics, row, 1); }

static void set_ready(struct source *s, struct item *it)
{
	if (it->is_ready || it->tail->fd < 0) return;
	it->is_ready = true;
	TAILQ_INSERT_TAIL(&s->ready, it, ready);
	s->env.ready(s->env.ud);
}

static void set_idle(struct source *s, struct item *it)
{
	if (!it->is_ready) return;
	it->is_ready = false;
	TAILQ_REMOVE(&s->ready, it, ready);
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash > path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
}

static void scan_soon(struct source *s, int64_t ns)
{
	int64_t at = mono(s) + ns;

	if (at >= s->scan_at) return;
	s->scan_at = at;
	loop_timer_set(s->scan_timer, ns);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno != ENOENT)
		log_warn("a file cannot be opened and is tried again", kv_c("file", path),
			 kv_c("err", strerror(errno)));
	return fd;
}

/* ---- events ---- */

static void add_key(struct source *s, struct item *it, struct key *k, const char *path)
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

static void del_key(struct source *s, struct key *k)
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
static void watch_item(struct source *s, struct item *it)
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

/* ---- items ---- */

struct inode_key {
	uint64_t dev, ino;
	const struct target *target;
};

static struct inode_key inode_key(const struct target *t, uint64_t dev, uint64_t ino)
{
	struct inode_key k;

	memset(&k, 0, sizeof k); /* compared as bytes */
	k.dev = dev;
	k.ino = ino;
	k.target = t;
	return k;
}

static void index_item(struct source *s, struct item *it, struct arena *keys)
{
	struct inode_key k = inode_key(it->target, it->tail->file->dev, it->tail->file->ino);

	it->same_path = map_get(&s->by_path, str_c(it->path));
	map_put(&s->by_path, str_c(it->path), it);
	struct str key = arena_str(keys, str_of((char *)&k, sizeof k));
	it->same_inode = map_get(&s->by_inode, key);
	map_put(&s->by_inode, key, it);
}

static struct item *find_inode(struct source *s, const struct target *t, const struct stat *st)
{
	struct inode_key k = inode_key(t, st->st_dev, st->st_ino);

	return map_get(&s->by_inode, str_of((char *)&k, sizeof k));
}

/* The item that `path` named until now. */
static struct item *find_current(struct source *s, const struct target *t, const char *path)
{
	for (struct item *it = map_get(&s->by_path, str_c(path)); it; it = it->same_path)
		if (it->target == t && !it->rotated) return it;
	return NULL;
}

static void attach_metrics(struct source *s, struct item *it)
{
	struct str path = str_c(it->path);

	it->m_lines = metrics_get(s->env.metrics, STAT_READ_LINES, &path);
	it->m_read = metrics_get(s->env.metrics, STAT_READ_BYTES, &path);
	it->m_size = metrics_get(s->env.metrics, STAT_FILE_BYTES, &path);
}

static void account(struct source *s, struct item *it)
{
	struct tail *t = it->tail;
	struct stat st;

	metrics_add(it->m_lines, (double)(t->lines - it->lines));
	it->lines = t->lines;
	if (t->too_long != it->too_long) {
		struct str path = str_c(it->path);
		metrics_add(metrics_get(s->env.metrics, STAT_LINES_TOO_LONG, &path),
			    (double)(t->too_long - it->too_long));
		it->too_long = t->too_long;
	}
	if (it->rotated) return;
	metrics_set(it->m_read, (double)t->off);
	if (t->fd >= 0 && fstat(t->fd, &st) == 0) metrics_set(it->m_size, (double)st.st_size);
}

/* The newest item of that path which is still to be read to its end. */
static struct item *predecessor(struct source *s, const struct target *t, const char *path)
{
	struct item *found = NULL, *it;

	TAILQ_FOREACH(it, &s->all, all)
	if (it->target == t && it->rotated && !it->drained && strcmp(it->path, path) == 0) found = it;
	return found;
}

static struct item *item_new(struct source *s, const struct target *t, struct ledger_file *f, int fd,
			     const struct stat *st, bool rotated)
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
	it->grown_at = mono(s);
	attach_metrics(s, it);
	TAILQ_INSERT_TAIL(&s->all, it, all);
	metrics_inc(s->env.metrics, STAT_FILES_ACTIVE, 1);
	if (!rotated) watch_item(s, it);
	s->changed = true;
	set_ready(s, it);
	log_info(rotated ? "reading the rest of a rotated file" : "reading a file", kv_c("job", s->env.job->name.p),
		 kv_c("file", f->path), kv_i("offset", it->tail->off), kv_i("inode", (int64_t)f->ino));
	return it;
}

static void item_free(struct source *s, struct item *it)
{
	struct item *o;
	bool last = true;
	struct str path = str_c(it->path);

	set_idle(s, it);
	account(s, it);
	TAILQ_REMOVE(&s->all, it, all);
	TAILQ_FOREACH(o, &s->all, all)
	{
		if (o->after == it) o->after = it->after;
		last = last && strcmp(o->path, it->path) != 0;
	}
	for (size_t i = 0; last && i < 3; i++)
		metrics_remove(s->env.metrics, (const size_t[]){STAT_READ_LINES, STAT_READ_BYTES, STAT_FILE_BYTES}[i],
			       &path);
	metrics_inc(s->env.metrics, STAT_FILES_ACTIVE, -1);
	del_key(s, &it->keys[0]);
	del_key(s, &it->keys[1]);
	tail_free(it->tail);
	free(it);
}

static void rotate(struct source *s, struct item *it)
{
	if (it->rotated) return;
	it->rotated = it->tail->file->rotated = true;
	it->drained = it->tail->fd < 0;
	it->grown_at = mono(s);
	s->changed = true;
	positions_del(s->env.positions, str_c(it->path));
	count(s, STAT_ROTATIONS);
	set_ready(s, it);
	log_info("a file was rotated", kv_c("file", it->path), kv_i("inode", (int64_t)it->tail->file->ino),
		 kv_i("offset", it->tail->off));
}

/* ---- finding content again ---- */

static bool is_read(struct source *s, const struct target *t, const struct stat *st)
{
	struct item *it;

	TAILQ_FOREACH(it, &s->all, all)
	if (it->target == t && it->tail->file->dev == st->st_dev && it->tail->file->ino == st->st_ino) return true;
	return false;
}

/* Looks beside f's path for what f had: its inode under any name, else (copies) a rotation's name. tail: more
 * precise than f when it is still being read. The descriptor, or -1. */
static int find_content(struct source *s, const struct target *t, const struct ledger_file *f, const struct tail *tail,
			struct stat *st)
{
	struct siblings sib;
	int fd = -1;

	for (int copies = tail != NULL; copies < 2 && fd < 0; copies++) {
		siblings_list(&sib, f->path, !copies);
		for (size_t i = sib.n; i-- > 0 && fd < 0;) {
			*st = sib.v[i].st;
			if (!copies && st->st_ino != f->ino) continue;
			if (is_read(s, t, st)) continue;
			fd = open_file(sib.v[i].path);
			if (fd < 0) continue;
			if (tail ? tail_holds(tail, fd, st->st_size) : ledger_file_holds(f, fd, st->st_size)) continue;
			close(fd);
			fd = -1;
		}
		siblings_free(&sib);
	}
	return fd;
}

static struct ledger_file *file_add(struct source *s, const struct target *t, const char *path)
{
	struct ledger_file *f = ledger_add(s->env.ledger, clock_rnd(s->env.clock), path);

	f->labels = t->hash;
	return f;
}

/* Rotations of path that came after `st`: nobody has seen them. */
static void read_newer(struct source *s, const struct target *t, const char *path, const struct stat *older)
{
	struct siblings sib;
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);

	siblings_list(&sib, path, false);
	for (size_t i = 0; i < sib.n; i++) {
		struct stat *st = &sib.v[i].st;
		bool newer = st->st_mtim.tv_sec != older->st_mtim.tv_sec ? st->st_mtim.tv_sec > older->st_mtim.tv_sec
									 : st->st_mtim.tv_nsec > older->st_mtim.tv_nsec;
		bool known = is_read(s, t, st);
		for (size_t k = 0; k < n; k++)
			known |= files[k]->labels == t->hash && files[k]->dev == st->st_dev &&
				 files[k]->ino == st->st_ino;
		int fd = newer && !known ? open_file(sib.v[i].path) : -1;
		if (fd < 0) continue;
		item_new(s, t, file_add(s, t, path), fd, st, true);
		files = ledger_files(s->env.ledger, &n);
	}
	siblings_free(&sib);
}

/* What the positions file says of f's path is what was saved with it, or somebody else wrote it: then it counts. */
static void heed_positions(struct source *s, struct ledger_file *f)
{
	int64_t y = positions_offset(s->env.positions, str_c(f->path));

	if (f->rotated || y == -2 || y == f->yaml || y == f->yaml_before) return;
	log_info("the positions file was changed by another program and is followed", kv_c("file", f->path),
		 kv_i("offset", y < 0 ? 0 : y));
	for (size_t i = 0; i < f->ncursors; i++) f->cursors[i].off = y < 0 ? 0 : y;
	f->yaml = y;
	f->before = (struct print){0};
}

static bool matches(const struct target *t, const char *path)
{
	return !t->dropped && glob_match(t->path, str_c(path)) && !(t->exclude && glob_match(t->exclude, str_c(path)));
}

static const struct target *target_of(struct source *s, const struct ledger_file *f)
{
	for (size_t i = 0; i < s->d.n; i++)
		if (s->d.v[i].hash == f->labels && matches(&s->d.v[i], f->path)) return &s->d.v[i];
	return NULL;
}

/* A file of the ledger at start: leaves it to the scan when its path still names it, else looks for it. */
static void resolve(struct source *s, struct ledger_file *f)
{
	const struct target *t = target_of(s, f);
	struct stat now, st;

	if (f->bound || !t) return;
	heed_positions(s, f);
	bool there = stat(f->path, &now) == 0;
	if (there && !f->rotated && now.st_ino == f->ino) {
		int fd = open_file(f->path);
		bool same = fd >= 0 && ledger_file_holds(f, fd, now.st_size);
		if (fd >= 0) close(fd);
		if (same) return;
	}
	int fd = find_content(s, t, f, NULL, &st);
	if (fd < 0) return;
	if (there && !f->rotated && st.st_dev == now.st_dev && st.st_ino == now.st_ino) {
		close(fd);
		return;
	}
	bool rotated_meanwhile = !f->rotated;
	item_new(s, t, f, fd, &st, true);
	if (!rotated_meanwhile) return;
	positions_del(s->env.positions, str_c(f->path)); /* that offset is of content which moved away */
	read_newer(s, t, f->path, &st);
}

static void resolve_all(struct source *s)
{
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);
	/* The ledger's array grows meanwhile. */
	struct ledger_file **copy = mem_alloc((n ? n : 1) * sizeof *copy);

	if (n) memcpy(copy, files, n * sizeof *copy);
	for (size_t i = 0; i < n; i++) resolve(s, copy[i]);
	free(copy);
}

/* ---- one path of a scan ---- */

/* The ledger's file for a path that nobody reads yet: with these labels, else (labels were changed) any. */
static struct ledger_file *known_file(struct source *s, const struct target *t, const char *path)
{
	struct ledger_file *other = NULL;
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);

	for (size_t i = 0; i < n; i++) {
		struct ledger_file *f = files[i];
		if (f->bound || f->rotated || strcmp(f->path, path) != 0) continue;
		if (f->labels == t->hash) return f;
		other = f;
	}
	return other;
}

/* Is the file the beginning of what copytruncate makes of a file that is being read? */
static bool copy_in_the_making(struct source *s, const struct target *t, const char *path, int fd,
			       const struct stat *st)
{
	const char *slash = strrchr(path, '/');
	size_t dir = (size_t)(slash - path) + 1;
	struct item *it;

	if (clock_wall(s->env.clock) - (st->st_ctim.tv_sec * UNITS_SEC + st->st_ctim.tv_nsec) > COPY_GRACE)
		return false;
	TAILQ_FOREACH(it, &s->all, all)
	{
		if (it->target != t || it->rotated || it->tail->fd < 0 || strncmp(it->path, path, dir) != 0) continue;
		if (strchr(it->path + dir, '/') || !sibling_name(str_c(it->path + dir), str_c(slash + 1))) continue;
		if (st->st_size < it->tail->off ? tail_resembles(it->tail, fd, st->st_size)
						: tail_holds(it->tail, fd, st->st_size))
			return true;
	}
	return false;
}

static void start_file(struct source *s, const struct target *t, const char *path, int fd, const struct stat *st)
{
	struct ledger_file *f = known_file(s, t, path);

	if (f) {
		heed_positions(s, f);
		if (ledger_file_holds(f, fd, st->st_size)) {
			f->labels = t->hash;
			item_new(s, t, f, fd, st, false);
			return;
		}
		log_warn("a file is not the one that was read before and is read from its start", kv_c("file", path),
			 kv_i("size", st->st_size));
		f->rotated = true; /* what it was may turn up again */
	}
	int64_t y = f ? 0 : positions_offset(s->env.positions, str_c(path));
	f = file_add(s, t, path);
	if (y > 0 && y <= st->st_size)
		for (size_t i = 0; i < s->env.nclients; i++) ledger_set_cursor(f, s->env.clients[i], y);
	item_new(s, t, f, fd, st, false);
}

static bool names_inode(const char *path, const struct item *it)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == it->tail->file->dev && st.st_ino == it->tail->file->ino;
}

/* An item's inode was found under a matching path. False: the path is another link to it, to be read by itself. */
static bool see(struct source *s, struct item *it, const char *path, const struct stat *st)
{
	struct item *same = it;

	while (same && strcmp(same->path, path) != 0) same = same->same_inode;
	if (same) {
		it = same;
		it->rotated = it->tail->file->rotated = false;
	} else if (names_inode(it->path, it)) {
		return false;
	}
	it->matched = true;
	if (it->tail->fd < 0 && st->st_size > it->tail->off) {
		int fd = open_file(path);
		if (fd >= 0) tail_reopen(it->tail, fd);
		it->finishing = false;
	}
	if (st->st_size != it->tail->off) set_ready(s, it);
	return true;
}

static void on_path(void *ud, const char *path)
{
	struct source *s = ud;
	const struct target *t = s->target;
	struct stat st;

	if (t->exclude && glob_match(t->exclude, str_c(path))) return;
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return;
	struct item *it = find_inode(s, t, &st);
	if (it && see(s, it, path, &st)) return;
	int fd = open_file(path);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0) close(fd);
		return;
	}
	struct item *current = find_current(s, t, path);
	if (current && tail_holds(current->tail, fd, st.st_size) && current->tail->off > 0) { /* an editor saved it */
		tail_move(current->tail, fd, &st);
		current->matched = true;
		set_ready(s, current);
		return;
	}
	if (current)
		rotate(s, current);
	else if (copy_in_the_making(s, t, path, fd, &st)) {
		close(fd);
		scan_soon(s, COPY_GRACE);
		return;
	}
	start_file(s, t, path, fd, &st);
	TAILQ_LAST(&s->all, items)->matched = true;
}

static void on_dir(void *ud, const char *dir)
{
	struct source *s = ud;

	if (!s->env.watch || map_get(&s->dirs, str_c(dir))) return;
	char *real = realpath(dir, NULL);
	if (!real) return;
	watch_dir(s->env.watch, real);
	free(real);
	char *own = mem_strdup(dir);
	map_put(&s->dirs, str_c(own), own);
}

/* ---- the end of items ---- */

/* Lets go of content that nobody writes to any more. */
static void review(struct source *s, struct item *it)
{
	struct stat st;
	struct tail *t = it->tail;

	if (t->fd >= 0 && fstat(t->fd, &st) == 0) {
		int64_t idle = mono(s) - it->grown_at;
		if (st.st_size != t->off) set_ready(s, it);
		if (it->drained && idle > (st.st_nlink ? RENAMED_IDLE : DELETED_IDLE) && !it->finishing) {
			it->finishing = true;
			set_ready(s, it);
		}
	}
	if (t->fd >= 0 || it->matched || !tail_complete(t)) return;
	struct ledger_file *f = t->file;
	item_free(s, it);
	ledger_forget(s->env.ledger, f);
	s->changed = true;
}

static void scan(void *ud)
{
	struct source *s = ud;
	struct arena keys;
	struct item *it, *next;

	s->scan_at = INT64_MAX;
	arena_init(&keys, 0);
	if (!s->started) resolve_all(s);
	TAILQ_FOREACH(it, &s->all, all)
	{
		it->matched = false;
		index_item(s, it, &keys);
	}
	for (size_t i = 0; i < s->d.n; i++) {
		s->target = &s->d.v[i];
		if (!s->target->dropped) glob_each(s->target->path, on_path, on_dir, s);
	}
	map_clear(&s->by_path);
	map_clear(&s->by_inode);
	arena_free(&keys);
	for (it = TAILQ_FIRST(&s->all); it; it = next) {
		next = TAILQ_NEXT(it, all);
		if (!it->rotated && !it->matched) rotate(s, it);
		account(s, it);
		if (it->rotated) review(s, it);
	}
	s->started = true;
	scan_soon(s, s->env.conf->target.sync_period);
}

/* What no event tells of: rotated files, whose names are not known, and file systems without inotify. */
static void poll_files(void *ud)
{
	struct source *s = ud;
	struct item *it, *next;
	struct stat st;
	bool grown = false;

	for (it = TAILQ_FIRST(&s->all); it; it = next) {
		next = TAILQ_NEXT(it, all);
		if (it->rotated) {
			review(s, it);
		} else if (!it->watched && it->tail->fd >= 0 && fstat(it->tail->fd, &st) == 0 &&
			   st.st_size != it->tail->off) {
			set_ready(s, it);
			grown = true;
		}
	}
	int64_t min = s->env.conf->global.poll.min, max = s->env.conf->global.poll.max;
	s->poll_ns = grown || !s->poll_ns ? min : s->poll_ns * 2 < max ? s->poll_ns * 2 : max;
	loop_timer_set(s->poll_timer, s->poll_ns);
}

/* ---- reading ---- */

/* Content was cut: the rest of what was there may have been copied away first. */
static void on_truncated(struct source *s, struct item *it)
{
	struct stat st, now;
	struct tail *t = it->tail;
	bool was_current = !it->rotated;

	count(s, STAT_TRUNCATIONS);
	if (was_current) {
		rotate(s, it);
		del_key(s, &it->keys[0]);
		del_key(s, &it->keys[1]);
	}
	int copy = find_content(s, it->target, t->file, t, &st);
	log_info("a file was truncated", kv_c("file", it->path), kv_i("offset", t->off),
		 kv_c("copy", copy >= 0 ? "found" : "none"));
	if (copy >= 0) {
		tail_move(t, copy, &st);
		it->drained = false;
		set_ready(s, it);
	} else {
		tail_close(t);
		t->file->ino = 0; /* the inode goes on with other content */
		it->drained = true;
		set_idle(s, it);
	}
	int fd = was_current ? open_file(it->path) : -1;
	if (fd < 0) return;
	if (fstat(fd, &now) == 0)
		item_new(s, it->target, file_add(s, it->target, it->path), fd, &now, false);
	else
		close(fd);
}

static void read_item(struct source *s, struct item *it, struct batch *b)
{
	struct err e = ERR_INIT;
	int64_t before = it->tail->off;
	enum tail_result r = tail_read(it->tail, &s->rb, s->env.clock, it->finishing, b, &e);

	if (it->tail->off != before) it->grown_at = mono(s);
	account(s, it);
	set_idle(s, it);
	switch (r) {
	case TAIL_MORE: set_ready(s, it); break;
	case TAIL_FAILED: log_warn("a file cannot be read and is tried again", kv_err(&e)); /* fall through */
	case TAIL_IDLE:
		it->drained = true;
		if (it->finishing) tail_close(it->tail);
		break;
	case TAIL_TRUNCATED: on_truncated(s, it); break;
	}
}

static struct item *next_readable(struct source *s)
{
	struct item *it;

	TAILQ_FOREACH(it, &s->ready, ready)
	{
		while (it->after && it->after->drained) it->after = it->after->after;
		if (!it->after) return it;
	}
	return NULL;
}

static enum pump file_pump(void *ud, struct batch *b)
{
	struct source *s = ud;
	struct item *it = next_readable(s);

	if (it) read_item(s, it, b);
	return next_readable(s) ? PUMP_MORE : PUMP_IDLE;
}

/* ---- what the agent asks ---- */

static bool file_save(void *ud)
{
	struct source *s = ud;
	struct item *it;
	bool changed = s->changed;

	s->changed = false;
	TAILQ_FOREACH(it, &s->all, all)
	{
		changed |= tail_save(it->tail, s->env.clients);
		if (it->rotated) continue;
		int64_t off = ledger_slowest(it->tail->file);
		struct item *o;
		if (s->d.n > 1) /* several targets may read one path: the file has the slowest */
			TAILQ_FOREACH(o, &s->all, all)
		if (!o->rotated && strcmp(o->path, it->path) == 0 && ledger_slowest(o->tail->file) < off)
			off = ledger_slowest(o->tail->file);
		positions_put_offset(s->env.positions, str_c(it->path), off);
	}
	return changed;
}

static bool file_is_ready(void *ud)
{
	struct source *s = ud;
	struct item *it;

	TAILQ_FOREACH(it, &s->all, all)
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

static void describe_item(struct source *s, const struct item *it, struct json_out *o)
{
	struct tail *t = it->tail;
	struct stat st;

	json_open(o, '{');
	json_key(o, STR("path"));
	json_put_str(o, str_c(it->path));
	json_key(o, STR("state"));
	json_put_str(o, t->fd < 0 ? STR("closed") : it->rotated ? STR("rotated") : STR("active"));
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
	struct source *s = ud;
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
		TAILQ_FOREACH(it, &s->all, all)
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
	struct source *s = ud;
	struct key_list *l = map_get(&s->events, path);
	struct key *k;

	if (!l) return;
	LIST_FOREACH(k, &l->keys, link) set_ready(s, k->item);
}

static void file_names(void *ud) { scan_soon(ud, RESCAN_AFTER); }

static void *file_start(const struct source_env *env, struct err *e)
{
	struct source *s = mem_zalloc(sizeof *s);

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
	s->scan_timer = loop_timer_add(env->loop, 0, scan, s);
	s->scan_at = mono(s);
	s->poll_timer = loop_timer_add(env->loop, env->conf->global.poll.min, poll_files, s);
	return s;
}

static void file_stop(void *ud)
{
	struct source *s = ud;

	while (!TAILQ_EMPTY(&s->all)) item_free(s, TAILQ_FIRST(&s->all));
	for (struct map_slot *m = NULL; (m = map_next(&s->dirs, m));) free(m->val);
	map_free(&s->dirs);
	map_free(&s->events);
	map_free(&s->by_path);
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
