// SPDX-License-Identifier: GPL-2.0-or-later
// RE2 behind a C interface, for test_regex_re2.c.
#include <re2/re2.h>

#include <vector>

extern "C" {
void *re2_make(const char *pattern, size_t n, char *error, size_t error_cap);
void re2_drop(void *re);
int re2_groups(void *re);
bool re2_search(void *re, const char *text, size_t n, bool whole, ssize_t *spans, int n_spans);
}

void *re2_make(const char *pattern, size_t n, char *error, size_t error_cap)
{
	RE2::Options options;
	options.set_log_errors(false);
	options.set_max_mem(64 << 20);
	RE2 *re = new RE2(re2::StringPiece(pattern, n), options);
	if (re->ok()) return re;
	snprintf(error, error_cap, "%s", re->error().c_str());
	delete re;
	return nullptr;
}

void re2_drop(void *re) { delete static_cast<RE2 *>(re); }

int re2_groups(void *re) { return static_cast<RE2 *>(re)->NumberOfCapturingGroups(); }

bool re2_search(void *re, const char *text, size_t n, bool whole, ssize_t *spans, int n_spans)
{
	std::vector<re2::StringPiece> m(n_spans);
	re2::StringPiece in(text, n);
	RE2::Anchor anchor = whole ? RE2::ANCHOR_BOTH : RE2::UNANCHORED;
	if (!static_cast<RE2 *>(re)->Match(in, 0, n, anchor, m.data(), n_spans)) return false;
	for (int i = 0; i < n_spans; i++) {
		spans[2 * i] = m[i].data() ? m[i].data() - text : -1;
		spans[2 * i + 1] = m[i].data() ? spans[2 * i] + (ssize_t)m[i].size() : -1;
	}
	return true;
}
