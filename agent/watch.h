/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch: what happens in directories, through libinotifytools.
 *
 * The library keeps global state, so one thread of this module owns it, and there is at most one watch per
 * process. Directories are watched, not files: one watch tells of every file in it. The thread gathers
 * what happened into a set, so that a busy file costs one call a round, and hands it over by loop_post;
 * callbacks run on the loop's thread. When the kernel's queue overflowed, everything counts as changed.
 * File systems whose changes may come from elsewhere (network, FUSE) are not watched: poll those. */
#ifndef LARCH_AGENT_WATCH_H
#define LARCH_AGENT_WATCH_H

#include "common/loop.h"
#include "common/str.h"

struct watch;

struct watch_fns {
	void (*changed)(void *ud, struct str path); /* a file's content; path is below the directory's real path */
	void (*names)(void *ud);                    /* files came, went or were renamed somewhere */
	void (*overflow)(void *ud);
	void *ud;
};

/* Call early: the library's select() needs a low descriptor. NULL: no inotify; e says why, and callers poll. */
struct watch *watch_new(struct loop *l, const struct watch_fns *fns, struct err *e);
void watch_free(struct watch *w); /* the loop must not run again afterwards: a call may be posted */
/* Watches dir, which must be a real path. Cheap when it is watched already. False: it cannot be; poll. */
bool watch_dir(struct watch *w, const char *dir);
/* Some directory turned out not to be watchable (fs.inotify.max_user_watches): poll everything. */
bool watch_incomplete(struct watch *w);

#endif
