/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mmdb: databases of properties of IP addresses in MaxMind's format (https://maxmind.github.io/MaxMind-DB/), through
 * libmaxminddb. Without that library at build time mmdb_open() fails and says so.
 *
 * The file is mapped, and read as it was when it was opened: replace it by renaming. Text borrows from the database.
 * Immutable once open; any thread. */
#ifndef LARCH_PIPELINE_MMDB_H
#define LARCH_PIPELINE_MMDB_H

#include "common/err.h"
#include "pipeline/extract/jval.h"

struct mmdb;

struct mmdb *mmdb_open(const char *path, struct err *e);
void mmdb_close(struct mmdb *db); /* may be NULL */

/* What is known of an address: a place in the database. */
struct mmdb_record {
	const struct mmdb *db;
	uint32_t at;
};
/* False: the text is no address, or the database has nothing of it. */
bool mmdb_find(const struct mmdb *db, struct str address, struct mmdb_record *out);
/* The scalar at a path of keys and array indexes ("-1" is the last), which ends with NULL. NULL: none. */
const struct jval *mmdb_get(const struct mmdb_record *r, struct arena *a, const char *const *path);
/* All of it as a tree; NULL: damaged. */
const struct jval *mmdb_tree(const struct mmdb_record *r, struct arena *a);

#endif
