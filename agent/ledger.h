/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ledger: what the agent has on disk about the files it reads: which file is which, how far each client
 * has got, and which timestamps were given to which bytes. It stands beside the positions file, as
 * FILENAME.larch; its layout is in docs/FORMATS.md ("Agent").
 *
 * A timestamp is a function of a line's place: stamp = chunk.base + (line's start offset - chunk.start).
 * The chunk is written and synced before any of its lines is first sent, so a range that is read again
 * after a crash gets the same stamps and the server recognises the copies.
 *
 * The file is a log: a snapshot (ledger_save, an atomic replacement) followed by records appended since
 * (ledger_sync). Each record has a checksum; reading stops at the first damaged one, which costs at most
 * repeated lines, never lost ones. Struct ledger_file is owned by the ledger and filled by the tail that
 * is bound to it. One thread: the agent's loop. */
#ifndef LARCH_AGENT_LEDGER_H
#define LARCH_AGENT_LEDGER_H

#include "common/fs.h"
#include "common/str.h"

#define LEDGER_HEAD 1024 /* bytes at the start of a file that tell it from others */
#define LEDGER_TAIL 64   /* bytes before an offset that must be found there again */

struct chunk {
	int64_t start, end; /* offsets; both at line boundaries */
	int64_t base;       /* ns: stamp of a line that begins at `start` */
};

struct print { /* a fingerprint: length and hash of some bytes */
	uint32_t len;
	uint64_t hash;
};

struct cursor {
	char *client;
	int64_t off;
};

struct ledger_file {
	uint64_t id;     /* random; names the file in records */
	char *path;      /* the `filename` label: the path under which it was found */
	uint64_t target; /* which target (struct target.hash): several may read one path */
	uint64_t dev, ino;
	struct print head;   /* first bytes, up to LEDGER_HEAD */
	struct print before; /* up to LEDGER_TAIL bytes before the smallest cursor */
	int64_t last;        /* no stamp up to here may be given again */
	int64_t yaml,
		yaml_before;   /* offset that the positions file gets with this snapshot, and had before it; -1: none */
	bool rotated;          /* no longer what `path` names */
	int64_t missing_since; /* wall ns when a start did not find it; 0: found */
	struct cursor *cursors;
	size_t ncursors;
	struct chunk *chunks; /* ascending, not overlapping; those that some client has not acknowledged */
	size_t nchunks, cap_chunks;
	bool bound;     /* a tail has it */
	bool announced; /* its identity is in the log */
};

struct ledger;

/* Reads what is there. A missing file is an empty ledger; a damaged one is cut at the damage, with a
 * warning in the log. Fails only when the file cannot be read at all or is of a later version. */
struct ledger *ledger_open(struct fs *fs, const char *path, struct err *e);
void ledger_free(struct ledger *l);

struct ledger_file *ledger_add(struct ledger *l, uint64_t id, const char *path);
void ledger_forget(struct ledger *l, struct ledger_file *f); /* frees f */
struct ledger_file **ledger_files(struct ledger *l, size_t *n);

int64_t ledger_cursor(const struct ledger_file *f, const char *client); /* -1: none */
int64_t ledger_slowest(const struct ledger_file *f);                    /* smallest cursor, 0 when there is none */
void ledger_set_cursor(struct ledger_file *f, const char *client, int64_t off);
/* Forgets the cursors of other clients: nobody would move them on, and the smallest counts. */
void ledger_keep_cursors(struct ledger_file *f, const char *const *clients, size_t n);
void ledger_drop_chunks(struct ledger_file *f, int64_t below); /* those that end at or before `below` */

/* The chunk that holds offset off; else NULL, and *next is where the next one starts (INT64_MAX: none). */
const struct chunk *ledger_chunk_at(const struct ledger_file *f, int64_t off, int64_t *next);
/* The stamp a new chunk may begin with: now, but behind every stamp ever given to any file, for files may share
 * a stream (a rotated one and its successor do), where equal lines with equal stamps would be one entry. Stamps that
 * are minutes ahead of now were given by a wrong clock: servers refuse what continues them. */
int64_t ledger_next_base(const struct ledger *l, int64_t now);
/* Adds a chunk that overlaps no other of its file; it is on disk after ledger_sync. */
void ledger_stamp(struct ledger *l, struct ledger_file *f, const struct chunk *c);
bool ledger_sync(struct ledger *l, struct err *e); /* nothing to do: true at once */
/* Replaces the file by a snapshot of all files. */
bool ledger_save(struct ledger *l, struct err *e);
size_t ledger_appended(const struct ledger *l); /* bytes behind the last snapshot */

/* Decoding, for tests and fuzzing: everything that reads a ledger's bytes. */
bool ledger_parse(struct ledger *l, struct str bytes, struct err *e);
struct ledger *ledger_new(struct fs *fs, const char *path);

#endif
