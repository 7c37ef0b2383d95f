/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/map.h"

#include "tests/unit/check.h"

#include <stdio.h>

static void empty_map(void **state)
{
	(void)state;
	struct map m = {0};
	assert_null(map_get(&m, STR("x")));
	assert_null(map_del(&m, STR("x")));
	assert_null(map_next(&m, NULL));
	map_clear(&m);
	map_free(&m);
}

static void replacing(void **state)
{
	(void)state;
	struct map m = {0};
	int one = 1, two = 2;
	char key[] = "k";
	assert_null(map_put(&m, STR(""), &two));
	assert_null(map_put(&m, STR("k"), &one));
	assert_ptr_equal(map_put(&m, str_c(key), &two), &one);
	assert_int_equal(m.n, 2);
	for (struct map_slot *s = NULL; (s = map_next(&m, s));)
		if (s->key.n) assert_ptr_equal(s->key.p, key); /* the new slice */
	assert_ptr_equal(map_get(&m, STR_NULL), &two);
	assert_ptr_equal(map_del(&m, STR("k")), &two);
	assert_null(map_get(&m, STR("k")));
	map_clear(&m);
	assert_int_equal(m.n, 0);
	assert_null(map_get(&m, STR("")));
	map_free(&m);
}

enum { KEYS = 3000 };

/* Puts and deletes in a fixed disorder, compared with an array that says who is in. */
static void agrees_with_a_plain_array(void **state)
{
	(void)state;
	static char names[KEYS][12];
	static bool in[KEYS];
	struct map m = {0};
	uint64_t rnd = 7;
	size_t n = 0;
	for (int i = 0; i < KEYS; i++) snprintf(names[i], sizeof names[i], "%d", i);
	for (int step = 0; step < 60000; step++) {
		rnd = rnd * UINT64_C(6364136223846793005) + 1;
		size_t k = (rnd >> 33) % KEYS;
		if (rnd >> 63) {
			assert_ptr_equal(map_put(&m, str_c(names[k]), names[k]), in[k] ? names[k] : NULL);
			n += !in[k];
			in[k] = true;
		} else {
			assert_ptr_equal(map_del(&m, str_c(names[k])), in[k] ? names[k] : NULL);
			n -= in[k];
			in[k] = false;
		}
		assert_int_equal(m.n, n);
	}
	for (int k = 0; k < KEYS; k++) assert_ptr_equal(map_get(&m, str_c(names[k])), in[k] ? names[k] : NULL);
	size_t seen = 0;
	for (struct map_slot *s = NULL; (s = map_next(&m, s)); seen++) assert_ptr_equal(s->key.p, s->val);
	assert_int_equal(seen, n);
	map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map),
		cmocka_unit_test(replacing),
		cmocka_unit_test(agrees_with_a_plain_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
