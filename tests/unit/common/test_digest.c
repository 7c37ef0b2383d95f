/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The examples of RFC 1321, FIPS 180-4 and FIPS 202, and lengths around the padding's edges. */
#include "common/digest.h"
#include "tests/unit/check.h"

static void hex(struct buf *b, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) buf_printf(b, "%02x", p[i]);
}

static void published_examples(void **state)
{
	(void)state;
	static const struct {
		const char *text, *md5, *sha1, *sha256, *sha3;
	} v[] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		 "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d",
		 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		 "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "8215ef0796a20bcaaae116d3876c664a",
		 "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
		 "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(v); i++) {
		unsigned char d[32];
		digest_md5(str_c(v[i].text), d);
		hex(&b, d, DIGEST_MD5);
		check_buf(&b, v[i].md5);
		digest_sha1(str_c(v[i].text), d);
		hex(&b, d, DIGEST_SHA1);
		check_buf(&b, v[i].sha1);
		digest_sha256(str_c(v[i].text), d);
		hex(&b, d, DIGEST_SHA256);
		check_buf(&b, v[i].sha256);
		digest_sha3_256(str_c(v[i].text), d);
		hex(&b, d, DIGEST_SHA3_256);
		check_buf(&b, v[i].sha3);
	}
	buf_free(&b);
}

/* Each digest goes in front of the next, longer text: one wrong length and the end differs. */
static void every_length(void **state)
{
	(void)state;
	static const struct {
		void (*fn)(struct str s, unsigned char *out);
		size_t n;
		const char *want;
	} v[] = {
		{digest_md5, DIGEST_MD5, "0561de90b715549e5209d0c7eafda28a"},
		{digest_sha1, DIGEST_SHA1, "407c0c1d36632562bf07e6150dce7d2cd20624e6"},
		{digest_sha256, DIGEST_SHA256, "fba747a5e8d4f266c6d14ff2d71786ea00b451cb50b0d73a48b9bb28ad64d616"},
		{digest_sha3_256, DIGEST_SHA3_256, "c9750038bf34343cc70a18ee38bd93e052bcb2767717884869cc093b17acadec"},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct buf text = {0}, b = {0};
		unsigned char d[32];
		for (size_t n = 0; n < 300; n++) {
			for (size_t k = 0; k < n; k++) buf_ch(&text, 'a');
			v[i].fn(buf_view(&text), d);
			buf_clear(&text);
			buf_add(&text, d, v[i].n);
		}
		hex(&b, d, v[i].n);
		check_buf(&b, v[i].want);
		buf_free(&text);
		buf_free(&b);
	}
}

static void in_pieces(void **state)
{
	(void)state;
	unsigned char whole[DIGEST_SHA256], pieces[DIGEST_SHA256];
	struct buf b = {0};
	for (int i = 0; i < 1000; i++) buf_ch(&b, (char)i);
	digest_sha256(buf_view(&b), whole);
	for (size_t step = 1; step < 300; step += 37) {
		struct digest *d = digest_sha256_new();
		for (size_t at = 0; at < b.n; at += step) digest_add(d, str_sub(buf_view(&b), at, at + step < b.n ? at + step : b.n));
		digest_end(d, pieces);
		assert_memory_equal(whole, pieces, sizeof whole);
	}
	digest_end(digest_sha256_new(), NULL);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_examples),
		cmocka_unit_test(every_length),
		cmocka_unit_test(in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
