/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/fileset.h"

#include "agent/siblings.h"
#include "common/log.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- finding content again ---- */

static int64_t mtime_ns(const struct stat *st) { return st->st_mtim.tv_sec * UNITS_SEC + st->st_mtim.tv_nsec; }

static bool is_read(struct fileset *s, const struct target *t, const struct stat *st)
{
	struct item *it;

	TAILQ_FOREACH (it, &s->all, all)
		if (!it->nameless && it->target == t && it->tail->file->dev == st->st_dev &&
		    it->tail->file->ino == st->st_ino)
			return true;
	return false;
}

/* Looks beside f's path for what f had: its inode under any name, else (copies) a rotation's name. tail: more
 * precise than f when it is still being read. The descriptor, or -1. */
int fileset_find(struct fileset *s, const struct target *t, const struct ledger_file *f, const struct tail *tail,
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
			fd = fileset_open(sib.v[i].path);
			if (fd < 0) continue;
			if (tail ? tail_holds(tail, fd, st->st_size) : ledger_file_holds(f, fd, st->st_size)) continue;
			close(fd);
			fd = -1;
		}
		siblings_free(&sib);
	}
	return fd;
}

int fileset_find_inode(const struct item *it)
{
	const struct ledger_file *f = it->tail->file;
	struct siblings sib;
	int fd = -1;

	siblings_list(&sib, it->path, true);
	for (size_t i = 0; i < sib.n && fd < 0; i++) {
		const struct stat *st = &sib.v[i].st;
		if (st->st_dev != f->dev || st->st_ino != f->ino) continue;
		fd = fileset_open(sib.v[i].path);
		if (fd < 0 || it->tail->off == 0 || tail_holds(it->tail, fd, st->st_size)) continue;
		close(fd);
		fd = -1;
	}
	siblings_free(&sib);
	return fd;
}

struct ledger_file *fileset_add(struct fileset *s, const struct target *t, const char *path)
{
	struct ledger_file *f = ledger_add(s->env.ledger, clock_rnd(s->env.clock), path);

	f->target = t->hash;
	return f;
}

/* Rotations of path that were still written to after `since` (wall ns): nobody has seen them. */
void fileset_read_newer(struct fileset *s, const struct target *t, const char *path, int64_t since)
{
	struct siblings sib;

	siblings_list(&sib, path, false);
	for (size_t i = 0; i < sib.n; i++) {
		struct stat *st = &sib.v[i].st;
		size_t n;
		struct ledger_file **files = ledger_files(s->env.ledger, &n);
		bool known = mtime_ns(st) < since || is_read(s, t, st);
		for (size_t k = 0; k < n; k++)
			known |= files[k]->target == t->hash && files[k]->dev == st->st_dev &&
				 files[k]->ino == st->st_ino;
		int fd = known ? -1 : fileset_open(sib.v[i].path);
		if (fd >= 0) item_new(s, t, fileset_add(s, t, path), fd, st, true);
	}
	siblings_free(&sib);
}

/* ---- start: the ledger's files ---- */

/* What the positions file says of f's path is what was saved with it, or somebody else wrote it: then it counts. */
static void heed_positions(struct fileset *s, struct ledger_file *f)
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

static const struct target *target_of(struct fileset *s, const struct ledger_file *f)
{
	for (size_t i = 0; i < s->d.n; i++)
		if (s->d.v[i].hash == f->target && matches(&s->d.v[i], f->path)) return &s->d.v[i];
	return NULL;
}

/* A file of the ledger at start: leaves it to the scan when its path still names it, else looks for it. */
static void resolve(struct fileset *s, struct ledger_file *f)
{
	const struct target *t = target_of(s, f);
	struct stat now, st;

	if (f->bound || !t) return;
	heed_positions(s, f);
	bool there = stat(f->path, &now) == 0;
	if (there && !f->rotated && now.st_ino == f->ino) {
		int fd = fileset_open(f->path);
		bool same = fd >= 0 && ledger_file_holds(f, fd, now.st_size);
		if (fd >= 0) close(fd);
		if (same) return;
	}
	int fd = fileset_find(s, t, f, NULL, &st);
	if (fd < 0) return;
	if (there && !f->rotated && st.st_dev == now.st_dev && st.st_ino == now.st_ino) {
		close(fd);
		return;
	}
	if (!f->rotated)
		positions_del(s->env.positions, str_c(f->path)); /* that offset is of content which moved away */
	item_new(s, t, f, fd, &st, true);
}

/* Does the path still name what the ledger has for it? */
static bool is_current(struct fileset *s, const struct target *t, const char *path)
{
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);
	struct stat st;

	if (stat(path, &st) != 0) return false;
	for (size_t i = 0; i < n; i++) {
		const struct ledger_file *f = files[i];
		if (!f->rotated && f->target == t->hash && f->ino == st.st_ino && strcmp(f->path, path) == 0)
			return true;
	}
	return false;
}

/* What was rotated in and away again since the last start follows the newest file that was found again. */
static void read_unseen(struct fileset *s)
{
	struct item *it, *o, *last = TAILQ_LAST(&s->all, items);

	TAILQ_FOREACH (it, &s->all, all) {
		struct stat st;
		bool newest = fstat(it->tail->fd, &st) == 0;
		int64_t since = newest ? mtime_ns(&st) : 0;
		TAILQ_FOREACH (o, &s->all, all) {
			if (o == it || o->target != it->target || strcmp(o->path, it->path) != 0 ||
			    fstat(o->tail->fd, &st) != 0)
				continue;
			newest = newest && mtime_ns(&st) <= since;
		}
		if (newest && !is_current(s, it->target, it->path)) fileset_read_newer(s, it->target, it->path, since);
		if (it == last) break;
	}
}

void fileset_resume(struct fileset *s)
{
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);
	/* The ledger's array grows meanwhile. */
	struct ledger_file **copy = mem_alloc((n ? n : 1) * sizeof *copy);

	if (n) memcpy(copy, files, n * sizeof *copy);
	for (size_t i = 0; i < n; i++) resolve(s, copy[i]);
	free(copy);
	read_unseen(s);
}

/* ---- a path that nobody reads yet ---- */

/* The ledger's file for a path that nobody reads yet: with these labels, else (labels were changed) any. */
static struct ledger_file *known_file(struct fileset *s, const struct target *t, const char *path)
{
	struct ledger_file *other = NULL;
	size_t n;
	struct ledger_file **files = ledger_files(s->env.ledger, &n);

	for (size_t i = 0; i < n; i++) {
		struct ledger_file *f = files[i];
		if (f->bound || f->rotated || strcmp(f->path, path) != 0) continue;
		if (f->target == t->hash) return f;
		other = f;
	}
	return other;
}

void fileset_start(struct fileset *s, const struct target *t, const char *path, int fd, const struct stat *st)
{
	struct ledger_file *f = known_file(s, t, path);

	if (f) {
		heed_positions(s, f);
		if (ledger_file_holds(f, fd, st->st_size)) {
			f->target = t->hash;
			item_new(s, t, f, fd, st, false);
			return;
		}
		log_warn("a file is not the one that was read before and is read from its start", kv_c("file", path),
			 kv_i("size", st->st_size));
		f->rotated = true; /* what it was may turn up again */
	}
	int64_t y = f ? 0 : positions_offset(s->env.positions, str_c(path));
	f = fileset_add(s, t, path);
	if (y > 0 && y <= st->st_size)
		for (size_t i = 0; i < s->env.nclients; i++) ledger_set_cursor(f, s->env.clients[i], y);
	item_new(s, t, f, fd, st, false);
}
