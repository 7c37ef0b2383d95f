/* SPDX-License-Identifier: GPL-2.0-or-later */
/* positions: Promtail's positions file: a YAML mapping from absolute paths to offsets and from
 * `cursor-JOB` to journal cursors, so that one can go from Promtail to Larch and back.
 *
 * Written byte for byte as Promtail writes it: keys sorted, values strings. Values are opaque here.
 * One thread: the agent's loop. */
#ifndef LARCH_AGENT_POSITIONS_H
#define LARCH_AGENT_POSITIONS_H

#include "common/fs.h"

struct positions;

/* A missing file is empty. ignore_invalid: a file that is not valid YAML counts as empty, with a warning. */
struct positions *positions_open(struct fs *fs, const char *path, bool ignore_invalid, struct err *e);
void positions_free(struct positions *p);
struct str positions_get(const struct positions *p, struct str key); /* STR_NULL: absent; valid until the next put */
int64_t positions_offset(const struct positions *p, struct str key); /* -1: absent; -2: not an offset */
void positions_put(struct positions *p, struct str key, struct str value);
void positions_put_offset(struct positions *p, struct str key, int64_t off);
void positions_del(struct positions *p, struct str key);
/* Forgets paths whose file does not exist, as Promtail does; true when there was one. */
bool positions_prune(struct positions *p);
bool positions_save(struct positions *p, struct err *e); /* nothing changed since: true at once */
bool positions_parse(struct positions *p, struct str text, struct err *e);
struct positions *positions_new(struct fs *fs, const char *path);
void positions_print(const struct positions *p, struct buf *out);

#endif
