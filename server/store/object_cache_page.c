/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/object_cache_page.h"

#include "common/units.h"

#include <sys/stat.h>

#define PIECE  OBJECT_CACHE_PIECE
#define PIECES (OBJECT_CACHE_PAGE / OBJECT_CACHE_PIECE)

static const char magic[9] = "LARCHPAG";

struct header {
	uint32_t version, len, index;
	uint64_t sums[PIECES];
	struct str name; /* borrowed from what was read */
};

static size_t pieces(size_t len) { return (len + PIECE - 1) / PIECE; }

static void encode(const struct header *h, struct buf *out)
{
	buf_add(out, magic, 8);
	buf_le32(out, OBJECT_CACHE_VERSION);
	buf_le32(out, h->len);
	buf_le32(out, h->index);
	buf_le32(out, (uint32_t)h->name.n);
	for (size_t i = 0; i < PIECES; i++) buf_le64(out, h->sums[i]);
	buf_str(out, h->name);
	buf_le64(out, str_hash(buf_view(out)));
}

static bool decode(struct str raw, struct header *h)
{
	struct str s = raw, got;
	uint32_t n;
	uint64_t sum;
	if (!rd_bytes(&s, 8, &got) || memcmp(got.p, magic, 8) != 0) return false;
	bool ok = rd_le32(&s, &h->version) && rd_le32(&s, &h->len) && rd_le32(&s, &h->index) && rd_le32(&s, &n);
	for (size_t i = 0; i < PIECES; i++) ok = ok && rd_le64(&s, &h->sums[i]);
	if (!ok || !rd_bytes(&s, n, &h->name)) return false;
	struct str before = str_sub(raw, 0, raw.n - s.n);
	if (!rd_le64(&s, &sum) || sum != str_hash(before)) return false;
	return h->version == OBJECT_CACHE_VERSION && h->len > 0 && h->len <= OBJECT_CACHE_PAGE;
}

bool object_cache_page_write(struct fs *fs, const char *path, struct str name, uint32_t index, struct str data,
			     struct err *e)
{
	struct header h = {.len = (uint32_t)data.n, .index = index, .name = name};
	struct buf b = {0};
	for (size_t i = 0; i < pieces(data.n); i++) {
		size_t at = i * PIECE;
		h.sums[i] = str_hash(str_sub(data, at, data.n - at < PIECE ? data.n : at + PIECE));
	}
	encode(&h, &b);
	if (b.n > OBJECT_CACHE_HEADER) {
		buf_free(&b);
		return err_set(e, ERR_TOO_LARGE, "the object's name has %zu bytes", name.n);
	}
	size_t used = b.n;
	buf_reserve(&b, OBJECT_CACHE_HEADER - used);
	memset(b.p + used, 0, OBJECT_CACHE_HEADER - used);
	int fd = fs_open(fs, path, O_WRONLY | O_CREAT | O_TRUNC, 0640, e);
	bool ok = fd >= 0 && fs_write(fs, fd, b.p, OBJECT_CACHE_HEADER, e) && fs_write(fs, fd, data.p, data.n, e);
	if (fd >= 0) fs_close(fs, fd);
	buf_free(&b);
	return ok || err_wrap(e, "%s", path);
}

static bool read_header(struct fs *fs, int fd, const char *path, char raw[OBJECT_CACHE_HEADER], struct header *h,
			struct err *e)
{
	if (!fs_pread(fs, fd, raw, OBJECT_CACHE_HEADER, 0, e)) return err_wrap(e, "%s", path);
	return decode(str_of(raw, OBJECT_CACHE_HEADER), h) ||
	       err_set(e, ERR_CORRUPT, "%s: damaged header of a cached page", path);
}

/* The pieces that hold the range are read whole and checked; what was asked for is then moved to the front. */
static bool read_pieces(struct fs *fs, int fd, const char *path, const struct header *h, size_t at, size_t n,
			struct buf *out, struct err *e)
{
	size_t from = at / PIECE * PIECE, to = pieces(at + n) * PIECE;
	if (to > h->len) to = h->len;
	buf_reserve(out, to - from);
	char *p = out->p + out->n;
	if (!fs_pread(fs, fd, p, to - from, (off_t)(OBJECT_CACHE_HEADER + from), e)) return err_wrap(e, "%s", path);
	for (size_t i = from; i < to; i += PIECE) {
		size_t len = to - i < PIECE ? to - i : PIECE;
		if (str_hash(str_of(p + (i - from), len)) != h->sums[i / PIECE])
			return err_set(e, ERR_CORRUPT, "%s: checksum does not match at offset %zu", path,
				       OBJECT_CACHE_HEADER + i);
	}
	memmove(p, p + (at - from), n);
	out->n += n;
	return true;
}

bool object_cache_page_read(struct fs *fs, const char *path, struct str name, uint32_t index, size_t at, size_t n,
			    struct buf *out, struct err *e)
{
	char raw[OBJECT_CACHE_HEADER];
	struct header h;
	int fd = fs_open(fs, path, O_RDONLY, 0, e);
	if (fd < 0) return false;
	bool ok = read_header(fs, fd, path, raw, &h, e);
	if (ok && (!str_eq(h.name, name) || h.index != index || at > h.len || n > h.len - at))
		ok = err_set(e, ERR_CORRUPT, "%s: another page than is asked for", path);
	ok = ok && (n == 0 || read_pieces(fs, fd, path, &h, at, n, out, e));
	fs_close(fs, fd);
	return ok;
}

bool object_cache_page_open(struct fs *fs, const char *path, struct arena *a, struct str *name, uint32_t *index,
			    uint32_t *len, int64_t *mtime)
{
	char raw[OBJECT_CACHE_HEADER];
	struct err ignored = ERR_INIT;
	struct header h;
	struct stat st;
	int fd = fs_open(fs, path, O_RDONLY, 0, &ignored);
	if (fd < 0) return false;
	bool ok = read_header(fs, fd, path, raw, &h, &ignored) && fstat(fd, &st) == 0 &&
		  (uint64_t)st.st_size == object_cache_file_size(h.len);
	fs_close(fs, fd);
	if (!ok) return false;
	*name = arena_str(a, h.name);
	*index = h.index;
	*len = h.len;
	*mtime = st.st_mtim.tv_sec * UNITS_SEC + st.st_mtim.tv_nsec;
	return true;
}
