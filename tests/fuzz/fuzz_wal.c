/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log file as it may be found, or (first byte odd) a push record as it may stand in one: read, put into a head,
 * collected again. */
#include "server/ingest/wal.h"
#include "server/store/head.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_file(struct str bytes)
{
	struct wal_reader r;
	struct buf rec = {0};
	struct err e = ERR_INIT;
	char path[40];
	int fd = memfd_create("wal", 0);
	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n) abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (wal_read_open(&r, &fs_real, path, &e)) {
		uint64_t seq, off, len, end = WAL_FILE_HEADER;
		for (bool more = bytes.n >= WAL_FILE_HEADER; more;) {
			enum wal_read_kind k = wal_read_next(&r, &seq, &rec, &off, &len, &e);
			if (k == WAL_READ_ERROR || off != end) abort(); /* ranges follow each other without gaps */
			end = off + len;
			more = k == WAL_READ_RECORD || k == WAL_READ_DAMAGED;
		}
		wal_read_close(&r);
	}
	buf_free(&rec);
	close(fd);
}

static void apply(struct str bytes)
{
	struct err e = ERR_INIT;
	struct record r;
	struct map known = {0};
	struct buf rec = {0};
	buf_str(&rec, bytes);
	struct head *h = head_new(NULL, 0);
	if (record_open(buf_view(&rec), &r, &e)) {
		head_new_streams(&known, &r);
		head_apply(h, &known, &r, &rec, 0, &e);
	}
	for (uint32_t i = 0; i < h->streams.n; i++) {
		struct head_rows rows = {0};
		const struct head_stream *hs = head_stream(h, i);
		head_collect(hs, &hs->view, INT64_MIN, INT64_MAX, &rows);
		for (size_t k = 0; k < rows.n; k++) {
			if (k && rows.v[k]->ts < rows.v[k - 1]->ts) abort();
			head_meta(h, rows.v[k]);
			str_hash(str_of(rows.v[k]->line, rows.v[k]->len));
		}
		free(rows.v);
	}
	head_retire(h, &known);
	head_unref(h);
	map_free(&known);
	buf_free(&rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) return 0;
	struct str rest = str_of((const char *)data + 1, size - 1);
	if (data[0] & 1)
		apply(rest);
	else
		read_file(rest);
	return 0;
}
