/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/fileset.h"

#include "agent/siblings.h"
#include "common/log.h"
#include "common/map.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RENAMED_IDLE (60 * UNITS_SEC) /* a renamed file is let go after so long without growth */
#define DELETED_IDLE (2 * UNITS_SEC)
#define COPY_GRACE   (10 * UNITS_SEC) /* what looks like a copy being made is left alone so long */

/* ---- which item has an inode ---- */

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

static void index_item(struct fileset *s, struct item *it, struct arena *keys)
{
	struct inode_key k = inode_key(it->target, it->tail->file->dev, it->tail->file->ino);

	if (it->nameless) return;
	struct str key = arena_str(keys, str_of((char *)&k, sizeof k));
	it->same_inode = map_get(&s->by_inode, key);
	map_put(&s->by_inode, key, it);
}

static struct item *find_inode(struct fileset *s, const struct target *t, const struct stat *st)
{
	struct inode_key k = inode_key(t, st->st_dev, st->st_ino);

	return map_get(&s->by_inode, str_of((char *)&k, sizeof k));
}

/* ---- items whose path may name something else by now ---- */

/* After a failed stat. Other errors (rights taken away, a server that does not answer) tell nothing of the file. */
static bool nothing_there(void) { return errno == ENOENT || errno == ENOTDIR; }

/* The item goes on where its path leads when that holds what was read (an editor saved the file anew). */
static void follow(struct fileset *s, struct item *it)
{
	const struct ledger_file *f = it->tail->file;
	struct stat st;

	if (stat(it->path, &st) != 0) {
		if (nothing_there()) item_rotate(s, it);
		return;
	}
	if (st.st_dev == f->dev && st.st_ino == f->ino) {
		it->seen_at = clock_wall(s->env.clock);
		return;
	}
	int fd = fileset_open(it->path);
	if (fd < 0 || fstat(fd, &st) != 0 || it->tail->off == 0 || !tail_holds(it->tail, fd, st.st_size)) {
		if (fd >= 0) close(fd);
		item_rotate(s, it);
		return;
	}
	tail_move(it->tail, fd, &st);
	item_ready(s, it);
}

static bool same_path(const struct item *a, const struct item *b)
{
	return a->target == b->target && strcmp(a->path, b->path) == 0;
}

/* Content that had `it`'s path, was rotated away again, and never seen. */
static void read_unseen(struct fileset *s, struct item *it)
{
	int64_t seen = 0;
	struct item *o;
	bool passed = false;

	TAILQ_FOREACH (o, &s->all, all) {
		if (!same_path(o, it)) continue;
		if (!o->rotated || passed) return; /* it would have been seen with that one, or is its turn */
		passed = o == it;
		if (o->seen_at > seen) seen = o->seen_at;
	}
	fileset_read_newer(s, it->target, it->path, seen - FS_CLOCK_SLACK);
}

static void follow_all(struct fileset *s)
{
	struct item *it, *last = TAILQ_LAST(&s->all, items);

	TAILQ_FOREACH (it, &s->all, all)
		if (!it->rotated) follow(s, it);
	TAILQ_FOREACH (it, &s->all, all) {
		if (it->rotated) read_unseen(s, it);
		if (it == last) break; /* what was just added is as new as can be */
	}
}

/* ---- one path ---- */

/* Is the file the beginning of what copytruncate makes of a file that is being read? */
static bool copy_in_the_making(struct fileset *s, const struct target *t, const char *path, int fd,
			       const struct stat *st)
{
	const char *slash = strrchr(path, '/');
	size_t dir = (size_t)(slash - path) + 1;
	struct item *it;

	if (clock_wall(s->env.clock) - (st->st_ctim.tv_sec * UNITS_SEC + st->st_ctim.tv_nsec) > COPY_GRACE)
		return false;
	TAILQ_FOREACH (it, &s->all, all) {
		if (it->target != t || it->rotated || it->tail->fd < 0 || strncmp(it->path, path, dir) != 0) continue;
		if (strchr(it->path + dir, '/') || !sibling_name(str_c(it->path + dir), str_c(slash + 1))) continue;
		if (st->st_size < it->tail->off ? tail_resembles(it->tail, fd, st->st_size)
						: tail_holds(it->tail, fd, st->st_size))
			return true;
	}
	return false;
}

static bool names_inode(const char *path, const struct item *it)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == it->tail->file->dev && st.st_ino == it->tail->file->ino;
}

/* An item's inode was found under a matching path. False: the path is another link to it, to be read by itself. */
static bool see(struct fileset *s, struct item *it, const char *path, const struct stat *st)
{
	struct item *same = it;

	while (same && strcmp(same->path, path) != 0) same = same->same_inode;
	if (same) {
		it = same;
		it->rotated = it->tail->file->rotated = false;
		it->seen_at = clock_wall(s->env.clock);
	} else if (names_inode(it->path, it)) {
		return false;
	}
	it->matched = true;
	if (it->parked && !it->rotated) item_unpark(s, it);
	if (it->tail->fd < 0 && !it->parked && st->st_size > it->tail->off) {
		int fd = fileset_open(path);
		if (fd >= 0) tail_reopen(it->tail, fd);
		it->finishing = false;
	}
	if (tail_changed(it->tail, st)) item_ready(s, it);
	return true;
}

/* No matching path names the item's file; or its path cannot be looked at now, and it is left as it is. */
static bool is_unnamed(const struct item *it)
{
	struct stat st;

	return !it->rotated && !it->matched && (stat(it->path, &st) == 0 || nothing_there());
}

/* Is there an item that the path named when this scan began? The next scan follows it. */
static bool has_current(struct fileset *s, const struct target *t, const char *path)
{
	struct item *it;

	TAILQ_FOREACH (it, &s->all, all)
		if (it->target == t && !it->rotated && !it->matched && strcmp(it->path, path) == 0) return true;
	return false;
}

static void on_path(void *ud, const char *path)
{
	struct fileset *s = ud;
	const struct target *t = s->target;
	struct stat st;

	if (t->exclude && glob_match(t->exclude, str_c(path))) return;
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return;
	struct item *it = find_inode(s, t, &st);
	if (it && see(s, it, path, &st)) return;
	int fd = fileset_open(path);
	if (fd < 0) return;
	bool later = fstat(fd, &st) != 0;
	if (!later && (has_current(s, t, path) || copy_in_the_making(s, t, path, fd, &st))) {
		fileset_scan_soon(s, COPY_GRACE);
		later = true;
	}
	if (later) {
		close(fd);
		return;
	}
	fileset_start(s, t, path, fd, &st);
	TAILQ_LAST(&s->all, items)->matched = true;
}

static void on_dir(void *ud, const char *dir)
{
	struct fileset *s = ud;

	/* Each time: a directory that was made anew needs a new watch. */
	char *real = s->env.watch ? realpath(dir, NULL) : NULL;
	if (real) watch_dir(s->env.watch, real);
	free(real);
}

/* ---- the end of items ---- */

/* Lets go of content that nobody writes to any more. */
void item_review(struct fileset *s, struct item *it)
{
	struct stat st;
	struct tail *t = it->tail;

	if (t->fd >= 0 && fstat(t->fd, &st) == 0) {
		int64_t idle = fileset_mono(s) - it->grown_at;
		if (tail_changed(t, &st)) item_ready(s, it);
		if (it->drained && idle > (st.st_nlink ? RENAMED_IDLE : DELETED_IDLE) && !it->finishing) {
			it->finishing = true;
			it->nameless = st.st_nlink == 0;
			item_ready(s, it);
		}
	}
	if (t->fd >= 0 || it->parked || it->matched || !tail_complete(t)) return;
	struct ledger_file *f = t->file;
	item_free(s, it);
	ledger_forget(s->env.ledger, f);
	s->changed = true;
}

/* ---- a scan ---- */

void fileset_scan(void *ud)
{
	struct fileset *s = ud;
	struct arena keys;
	struct item *it, *next;

	s->scan_at = INT64_MAX;
	arena_init(&keys, 0);
	if (!s->started)
		fileset_resume(s);
	else
		follow_all(s);
	TAILQ_FOREACH (it, &s->all, all) {
		it->matched = false;
		index_item(s, it, &keys);
	}
	for (size_t i = 0; i < s->d.n; i++) {
		s->target = &s->d.v[i];
		if (!s->target->dropped) glob_each(s->target->path, on_path, on_dir, s);
	}
	map_clear(&s->by_inode);
	arena_free(&keys);
	for (it = TAILQ_FIRST(&s->all); it; it = next) {
		next = TAILQ_NEXT(it, all);
		if (is_unnamed(it)) item_rotate(s, it);
		item_account(s, it);
		if (it->rotated) item_review(s, it);
	}
	fileset_bound(s);
	s->started = true;
	fileset_scan_soon(s, s->env.conf->target.sync_period);
}
