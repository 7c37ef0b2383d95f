/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tail: one open file being read line by line, from an offset on, under the labels it was found with.
 *
 * A tail is bound to a file's content, not to its name: a rename leaves it alone, and a copy that holds the
 * same bytes can take the file's place (tail_move). Each line is a row; where a row begins in the file is
 * kept until every client has dealt with it, so that progress is exact to the line. Lines end at \n, which
 * is left out; everything else is passed on byte for byte. A last line without \n is handed out only when
 * the caller says that the file is finished. Lines over TAIL_LINE_MAX are left out, logged and counted.
 *
 * Every read hands out one chunk of lines with timestamps as agent/ledger.h has them; a range that was
 * stamped before gets the same stamps. Owner: a file source; one thread. Memory: 4 bytes a row in flight. */
#ifndef LARCH_AGENT_TAIL_H
#define LARCH_AGENT_TAIL_H

#include "agent/acks.h"
#include "agent/ledger.h"
#include "common/clock.h"
#include "pipeline/entry.h"

#define TAIL_CHUNK    (128 * 1024)
#define TAIL_LINE_MAX (16 * 1024 * 1024)

/* Rows handed out together. */
struct rows {
	uint64_t first;
	int64_t start;
	uint32_t *offs; /* of each row's first byte, from start */
	uint32_t n;
};

struct tail {
	struct acks acks; /* what origins point at */
	struct ledger *ledger;
	struct ledger_file *file;
	struct labels labels;          /* with filename; own memory */
	int fd;                        /* -1: closed */
	int64_t off;                   /* where the next line begins */
	int64_t seen_size, seen_mtime; /* of the file at the last read */
	int64_t skip_from;             /* start of the overlong line being left out; -1: none */
	int64_t scanned;               /* no line ends between off and here; up to off: nothing is known */
	char last[LEDGER_TAIL];        /* the bytes before off */
	size_t nlast;
	struct rows *rows;
	size_t nrows, first_row, cap_rows;
	int64_t *known;           /* per client: what it had when reading began; below, rows are not sent to it again */
	uint64_t lines, too_long; /* read so far; left out */
};

enum tail_result {
	TAIL_MORE,      /* a chunk was read and there may be more */
	TAIL_IDLE,      /* the end was reached */
	TAIL_TRUNCATED, /* the file no longer holds what was read: it was cut, and perhaps written anew */
	TAIL_FAILED     /* e says why; trying later may help */
};

/* Shared by all tails of a thread; grows with long lines. {0} is ready; free(p) at the end. */
struct tail_buf {
	char *p;
	size_t cap;
};

/* Takes fd. labels are copied; `filename` is added from file->path. Reading starts at the smallest of the
 * clients' cursors; nclients names in the order of the acks' columns. */
struct tail *tail_new(struct ledger *l, struct ledger_file *file, int fd, const struct labels *labels,
		      const char *const *clients, size_t nclients);
void tail_free(struct tail *t); /* the ledger keeps its file */
void tail_close(struct tail *t);
/* The same content in another file: goes on there. Takes fd. */
void tail_move(struct tail *t, int fd, const struct stat *st);
void tail_reopen(struct tail *t, int fd); /* after tail_close */

/* Reads one chunk into b. finished: nothing will be appended any more, so a last partial line counts. */
enum tail_result tail_read(struct tail *t, struct tail_buf *rb, struct clock *clock, bool finished, struct batch *b,
			   struct err *e);

/* Has the file been written to since the last read? */
bool tail_changed(const struct tail *t, const struct stat *st);

/* Brings file up to date with the rows dealt with; true when something changed. */
bool tail_save(struct tail *t, const char *const *clients);
/* Every row has been dealt with by every client, up to what was read. */
static inline bool tail_complete(const struct tail *t) { return acks_complete(&t->acks); }

/* Does fd hold what t has read / what file had been read up to its smallest cursor? */
bool tail_holds(const struct tail *t, int fd, int64_t size);
bool ledger_file_holds(const struct ledger_file *file, int fd, int64_t size);
/* Could fd be a copy of t's file in the making: the same first bytes, but not as long yet? */
bool tail_resembles(const struct tail *t, int fd, int64_t size);

#endif
