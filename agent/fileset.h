/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fileset: the files of one job: which content its patterns name, and what becomes of content whose path is
 * renamed, cut, deleted or replaced.
 *
 * An item is one file's content, read once under the path that named it first. It survives that name:
 * - another inode under the path: the item is `rotated`. It goes on until its file has been idle for a
 *   while, since writers may still have it open; the new file waits until the old one's end was seen.
 *   Rotations that came and went between two looks are found beside the path and read in between.
 * - the same inode under another matching path: a rename; nothing is read twice.
 * - cut (copytruncate): if a sibling holds what was read, the item moves there for the rest.
 * At start the ledger's files go the same way: they resume where their content is found, under their first
 * path, then rotations newer than that are read, then the path's present file.
 *
 * Parts: fileset.c the items, fileset_find.c finding content again, fileset_scan.c walking the patterns,
 * fileset_bound.c how many are open.
 * Owner: one file source; one thread. A scan costs a stat for each matching path. */
#ifndef LARCH_AGENT_FILESET_H
#define LARCH_AGENT_FILESET_H

#include "agent/discovery.h"
#include "agent/source.h"
#include "agent/tail.h"
#include "common/map.h"
#include "common/units.h"

#include <sys/queue.h>

#define FS_CLOCK_SLACK (50 * UNITS_MS) /* file times come from a coarser clock than ours */

/* One way by which an event may name an item. */
struct key {
	LIST_ENTRY(key) link;
	struct item *item;
	struct key_list *list;
};

struct key_list {
	LIST_HEAD(key_chain, key) keys;
	char *path;
};

struct item {
	TAILQ_ENTRY(item) all, ready;
	struct tail *tail;
	const struct target *target;
	const char *path;        /* the ledger's: the filename label */
	struct item *same_inode; /* chain of a scan's index */
	struct item *after;      /* is read to its end first */
	struct key keys[2];
	bool rotated;   /* path no longer names it */
	bool matched;   /* some matching path names it */
	bool drained;   /* its end was seen */
	bool finishing; /* nothing more is expected: the last line needs no newline */
	bool parked;    /* rotated, and closed until its turn comes: too many are open */
	bool nameless;  /* deleted when it was closed: its inode may be that of another file by now */
	bool is_ready, watched;
	int64_t grown_at;         /* mono ns */
	int64_t retry_at, pause;  /* mono ns, ns: when a read that failed is tried again; 0: it did not */
	int64_t seen_at;          /* wall ns of the last scan in which path named it */
	uint64_t lines, too_long; /* counted so far */
};

TAILQ_HEAD(items, item);

struct fileset {
	struct source_env env;
	struct discovery d;
	struct items all; /* of one path: oldest content first */
	struct items ready;
	struct map events;   /* path → struct key_list */
	struct map by_inode; /* struct inode_key → items, made anew by each scan */
	struct loop_timer *scan_timer, *poll_timer;
	int64_t scan_at; /* mono ns */
	int64_t poll_ns;
	size_t active; /* targets */
	bool started, changed;
	struct tail_buf rb;
	const struct target *target; /* whose pattern is being walked */
};

/* ---- items ---- */

/* Takes fd. rotated: path names something else by now. */
struct item *item_new(struct fileset *s, const struct target *t, struct ledger_file *f, int fd, const struct stat *st,
		      bool rotated);
void item_free(struct fileset *s, struct item *it);
void item_rotate(struct fileset *s, struct item *it);  /* its path names something else from now on */
void item_unwatch(struct fileset *s, struct item *it); /* events of its path are not about it */
void item_ready(struct fileset *s, struct item *it);
void item_idle(struct fileset *s, struct item *it);
void item_account(struct fileset *s, struct item *it); /* brings its metrics up to date */
void item_review(struct fileset *s,
		 struct item *it); /* of a rotated item: lets go of what nobody writes to; may free it */
static inline int64_t fileset_mono(const struct fileset *s) { return clock_mono(s->env.clock); }
int fileset_open(const char *path);
void fileset_scan_soon(struct fileset *s, int64_t ns);

/* ---- finding content ---- */

/* Looks beside f's path for what f had: its inode under any name, else (copies) under a rotation's name. tail
 * knows more precisely what it read; may be NULL. The descriptor, or -1. */
int fileset_find(struct fileset *s, const struct target *t, const struct ledger_file *f, const struct tail *tail,
		 struct stat *st);
struct ledger_file *fileset_add(struct fileset *s, const struct target *t, const char *path);
/* Rotations of path that were still written to after `since` (wall ns): nobody has seen them. */
void fileset_read_newer(struct fileset *s, const struct target *t, const char *path, int64_t since);
void fileset_resume(struct fileset *s); /* the ledger's files, once at start */
void fileset_start(struct fileset *s, const struct target *t, const char *path, int fd,
		   const struct stat *st); /* takes fd */

/* The item's file by its inode, under any name beside its path. The descriptor, or -1. */
int fileset_find_inode(const struct item *it);

/* ---- bounds ---- */

/* Keeps no more than larch.max_rotated_files rotated files open: those that are read last are parked. What has no name
 * any more could not be found again; the oldest of them are given up when there are too many. */
void fileset_bound(struct fileset *s);
/* Opens a parked item again. False: its file is gone; the item is done with. */
bool item_unpark(struct fileset *s, struct item *it);

/* ---- scanning ---- */

void fileset_scan(void *fileset); /* a loop_fn */

#endif
